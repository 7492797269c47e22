"""create_policy: which rows of a table a role may see or write."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from crossfade.catalog.model import Policy, Table
from crossfade.changes._change import Change, Compiled, Hazard, Need
from crossfade.changes._context import Context
from crossfade.changes._instant import instant
from crossfade.changes._mapping import checked
from crossfade.composing import sql
from crossfade.spec.fragment import Expression
from crossfade.spec.values import Identifier
from crossfade.steps import again
from crossfade.steps.compose import identifier, lock, relation
from crossfade.steps.step import EXPAND


class CreatePolicy(Change):
    """Create a row security policy.

    It binds from expand on, where the table has row security on.

    ## Old and new versions

    It binds both, for the roles that it names. A permissive policy lets them have more rows, a restrictive one fewer.

    ## Undo

    Drops the policy.

    ## Locks

    ACCESS EXCLUSIVE on the table for an instant.

    ## Hazards

    A restrictive policy takes rows away from the old version too, and is told (`policy-hides-rows`). One on a table
    without row security is told, since it does nothing (`policy-asleep`). A condition that PostgreSQL does not
    understand, and one for a command that takes none, is refused.

    ## Example

    ```yaml
    changes:
      - create_policy: {table: notes, name: own_notes, for: select, using: owner = current_user}
    ```
    """

    table: Identifier = Field(description="The table, or `schema.table`.")
    name: Identifier = Field(description="Its name.")
    for_: Literal["all", "select", "insert", "update", "delete"] = Field(
        "all", alias="for", description="The command that it is about."
    )
    to: tuple[Identifier, ...] = Field(("public",), description="The roles; `public` is everybody.")
    restrictive: bool = Field(False, description="Rows must pass it beside those that let them through.")
    using: Expression | None = Field(None, description="True of the rows that may be seen, changed or deleted.")
    with_check: Expression | None = Field(None, description="True of the rows that may be written.")
    comment: str | None = Field(None, description="What it is for.")

    def compile(self, context: Context) -> Compiled:
        """One statement under a short lock."""
        table = context.table(self.table)
        if any(each.name == self.name for each in table.policies):
            context.refuse(f"policy {self.name} exists already on {table.name}", at=("name",))
        self._refuse_unsound(context, table)
        policy = Policy(
            name=self.name,
            command=self.for_,
            permissive=not self.restrictive,
            roles=self.to,
            using=self.using.text if self.using is not None else None,
            check=self.with_check.text if self.with_check is not None else None,
            reads=frozenset(),
            comment=self.comment,
        )
        step = instant(
            context,
            EXPAND,
            f"{table.name}/policy/{self.name}/create",
            f"create policy {self.name} of {table.name}",
            again.policy(table.name, policy),
            (sql.SQL("DROP POLICY IF EXISTS {} ON {}").format(sql.Identifier(self.name), identifier(table.name)),),
            f"drop policy {self.name} of {table.name}",
            locks=lock(relation(table.name), "ACCESS EXCLUSIVE"),
        )
        conditions = [each for each in (self.using, self.with_check) if each is not None]
        read = {column for each in conditions for column in each.columns(table.name.name)}
        needs = tuple(Need(table.name, column, follows=False) for column in sorted(read & table.by_name.keys()))
        return Compiled(steps=(step,), policies=((table.name, policy),), needs=needs, hazards=self._hazards(table))

    def _refuse_unsound(self, context: Context, table: Table) -> None:
        row = context.row_types(table)
        for field, condition in (("using", self.using), ("with_check", self.with_check)):
            if condition is not None:
                checked(context, table, condition, row=row, wanted="boolean", field=field)
        if self.for_ == "insert" and self.using is not None:
            context.refuse("an INSERT has no rows to see", fix="say `with_check` in place of `using`", at=("using",))
        if self.for_ in ("select", "delete") and self.with_check is not None:
            context.refuse(f"{self.for_} writes no row", fix="leave `with_check` out", at=("with_check",))

    def _hazards(self, table: Table) -> tuple[Hazard, ...]:
        found: list[Hazard] = []
        if not table.row_security:
            what = f"{table.name} has no row security: policy {self.name} does nothing until it is enabled"
            found.append(Hazard("policy-asleep", "note", what, "enable it with set_row_security, below this change"))
        if self.restrictive:
            what = f"policy {self.name} takes rows of {table.name} away from the old version too, from expand on"
            found.append(Hazard("policy-hides-rows", "danger", what, "name roles in `to` that the old version has not"))
        return tuple(found)
