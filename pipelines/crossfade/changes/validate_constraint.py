"""validate_constraint: a rule that was added NOT VALID is proved over the rows that were there."""

from __future__ import annotations

from pydantic import Field

from crossfade.changes._change import Change, Compiled
from crossfade.changes._context import Context
from crossfade.changes._named_constraint import constraint_needs, named_constraint
from crossfade.changes._unproved import ask_again
from crossfade.spec.values import Identifier
from crossfade.steps import rules
from crossfade.steps.carry import parents_of, told_of_constraint
from crossfade.steps.compose import lock, lock_parents, text
from crossfade.steps.definitions import carried_constraint
from crossfade.steps.step import VALIDATE, Ddl


class ValidateConstraint(Change):
    """Prove a constraint that was found NOT VALID.

    A check or a foreign key that was added NOT VALID binds new rows only. Rows that break it are counted first, and the
    phase stops until they are mended; then it is validated.

    ## Old and new versions

    Neither notices it: the rule bound both before. The planner may rely on a check that is valid.

    ## Undo

    Makes it NOT VALID again: dropped and added in one transaction, so that it binds new rows all the time.

    ## Locks

    SHARE UPDATE EXCLUSIVE on the table and ROW SHARE on the parent of a foreign key, for a scan that lets reads and
    writes go on. The undo takes ACCESS EXCLUSIVE on both for an instant.

    ## Hazards

    Refused when planned: a constraint that is valid already, one that is NOT ENFORCED (PostgreSQL 18), and kinds that
    are never NOT VALID.

    ## Example

    ```yaml
    changes:
      - validate_constraint: {table: orders, name: orders_customer_fkey}
    ```
    """

    table: Identifier = Field(description="The table, or `schema.table`.")
    name: Identifier = Field(description="The constraint.")

    def compile(self, context: Context) -> Compiled:
        """Counted, then proved."""
        table = context.table(self.table)
        found = named_constraint(context, table, self.name, "name")
        if found.validated:
            fix = "leave this change out"
            context.refuse(f"constraint {found.name} of {table.name} is valid already", fix=fix, at=("name",))
        if found.kind not in ("check", "foreign_key") or "NOT ENFORCED" in found.definition:
            context.refuse(
                f"constraint {found.name} of {table.name} cannot be validated: {found.definition}",
                why="PostgreSQL validates checks and foreign keys that it enforces",
                at=("name",),
            )
        place = context.place(table, VALIDATE)
        subject, parents = f"constraint/{found.name}", parents_of((found,))
        again = carried_constraint(place.relation, found, name=found.name, columns={})
        dropped = rules.drop_constraint(place, found.name, "").statements
        told = text(*told_of_constraint(place.sql, found, found.name))
        undo = Ddl(
            id=place.id(subject, "validate", "undo"),
            leg=place.leg,
            database=place.database,
            title=f"make constraint {found.name} of {table.name} NOT VALID again",
            locks=(
                *lock(place.relation, "ACCESS EXCLUSIVE"),
                *lock_parents(place.relation, parents, "ACCESS EXCLUSIVE"),
            ),
            statements=(*dropped, again, *told),
        )
        title = f"check every row of {table.name} for {found.name}"
        proof = rules.validate(place, found.name, place.id(subject, "validate"), title, parents)
        return Compiled(
            steps=(
                *ask_again(context, place, table, found, subject),
                proof.model_copy(update={"undo": (undo,), "undo_title": "make it NOT VALID again"}),
            ),
            needs=constraint_needs(table, found),
        )
