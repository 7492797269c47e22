"""rename_constraint: another name for a rule."""

from __future__ import annotations

from pydantic import Field

from crossfade.changes._change import Change, Compiled, Hazard
from crossfade.changes._context import Context
from crossfade.changes._instant import instant
from crossfade.changes._named_constraint import constraint_needs, named_constraint
from crossfade.changes._obstacles import refuse_taken_name, refuse_taken_relation
from crossfade.composing import sql
from crossfade.spec.values import Identifier
from crossfade.steps.compose import lock
from crossfade.steps.step import stage_leg


class RenameConstraint(Change):
    """Rename a constraint.

    It gets its new name in the stage `cutover`. The index behind a key is renamed with it.

    ## Old and new versions

    A statement sees the name only where it says it, as in `ON CONFLICT ON CONSTRAINT` or `SET CONSTRAINTS`, and in
    errors. Until `cutover` it is the old one, from then on the new one.

    ## Undo

    Renames it back.

    ## Locks

    ACCESS EXCLUSIVE on the table, for an instant; for a key only SHARE UPDATE EXCLUSIVE on its index.

    ## Hazards

    - `constraint-by-name`: statements that say the name of a key fail with the other one; name its columns instead.

    ## Example

    ```yaml
    changes:
      - rename_constraint: {table: orders, from: orders_number_key1, to: orders_number_key}
    ```
    """

    table: Identifier = Field(description="The table, or `schema.table`.")
    from_: Identifier = Field(alias="from", description="Its name now.")
    to: Identifier = Field(description="Its name in the end.")

    def compile(self, context: Context) -> Compiled:
        """One statement at cutover."""
        table = context.table(self.table)
        found = named_constraint(context, table, self.from_, "from")
        with context.at("to"):
            refuse_taken_name(context, table, self.to)
            if found.index is not None:
                refuse_taken_relation(context, table, self.to)
        place = context.place(table, stage_leg("cutover"))
        old, new = sql.Identifier(self.from_), sql.Identifier(self.to)
        schema = table.name.schema
        if found.index is not None:
            rename = sql.SQL("ALTER INDEX {} RENAME TO {}")
            forth = rename.format(sql.Identifier(schema, self.from_), new)
            back = rename.format(sql.Identifier(schema, self.to), old)
        else:
            rename = sql.SQL("ALTER TABLE {} RENAME CONSTRAINT {} TO {}")
            forth, back = rename.format(place.sql, old, new), rename.format(place.sql, new, old)
        by_name = Hazard(
            "constraint-by-name",
            "warning",
            f"ON CONFLICT ON CONSTRAINT {self.from_} and SET CONSTRAINTS {self.from_} fail from cutover on, and those"
            f" that say {self.to} before",
            "name the columns in ON CONFLICT",
        )
        step = instant(
            context,
            place.leg,
            place.id("constraint", self.from_, "rename"),
            f"rename constraint {self.from_} of {table.name} to {self.to}",
            (forth,),
            (back,),
            "rename it back",
            locks=() if found.index is not None else lock(place.relation, "ACCESS EXCLUSIVE"),
        )
        needs = constraint_needs(table, found)
        return Compiled(steps=(step,), needs=needs, hazards=(by_name,) if found.index or found.deferrable else ())
