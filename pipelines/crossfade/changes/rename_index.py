"""rename_index: another name for an index."""

from __future__ import annotations

from pydantic import Field

from crossfade.changes._change import Change, Compiled, Need
from crossfade.changes._context import Context
from crossfade.changes._instant import instant
from crossfade.changes._named_index import named_index
from crossfade.changes._obstacles import refuse_taken_relation
from crossfade.composing import sql
from crossfade.spec.values import Identifier
from crossfade.steps.step import stage_leg


class RenameIndex(Change):
    """Rename an index.

    It gets its new name in the stage `cutover`. The parts of a partitioned index keep theirs.

    ## Old and new versions

    Neither notices it: no statement but DDL says the name of an index.

    ## Undo

    Renames it back.

    ## Locks

    SHARE UPDATE EXCLUSIVE on the index: nobody but other DDL waits.

    ## Hazards

    The index of a constraint is refused: rename_constraint renames both.

    ## Example

    ```yaml
    changes:
      - rename_index: {index: orders_number_idx1, to: orders_number_idx}
    ```
    """

    index: Identifier = Field(description="Its name now, or `schema.index`.")
    to: Identifier = Field(description="Its name in the end.")

    def compile(self, context: Context) -> Compiled:
        """One statement at cutover."""
        table, found = named_index(context, self.index)
        if found.constraint is not None:
            fix = f"say rename_constraint: {{table: {table.name.name}, from: {found.constraint}, to: {self.to}}}"
            context.refuse(f"index {found.name} belongs to constraint {found.constraint}", fix=fix, at=("index",))
        with context.at("to"):
            refuse_taken_relation(context, table, self.to)
        place = context.place(table, stage_leg("cutover"))
        rename, schema = sql.SQL("ALTER INDEX {} RENAME TO {}"), table.name.schema
        step = instant(
            context,
            place.leg,
            place.id("index", found.name, "rename"),
            f"rename index {found.name} of {table.name} to {self.to}",
            (rename.format(sql.Identifier(schema, found.name), sql.Identifier(self.to)),),
            (rename.format(sql.Identifier(schema, self.to), sql.Identifier(found.name)),),
            "rename it back",
        )
        needs = tuple(Need(table.name, column, follows=False) for column in sorted(found.reads))
        return Compiled(steps=(step,), needs=needs)
