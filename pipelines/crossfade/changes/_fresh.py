"""A new column that is made from old ones: what a user says of it, and what that comes to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from crossfade.catalog.model import Table
from crossfade.changes._context import Context, Facts
from crossfade.changes._mapping import checked
from crossfade.changes._obstacles import refuse_generated, refuse_ruled_domain, refuse_taken_name, rule_name
from crossfade.spec.fragment import Expression, TypeName
from crossfade.spec.values import SpecModel
from crossfade.steps.rows import CheckRule, NewColumn, UniqueRule


class Fresh(SpecModel):
    """A new column that is made from old ones."""

    type: Annotated[TypeName, Field(min_length=1, examples=["text", "numeric(10,2)"])] = Field(description="Its type.")
    up: Expression = Field(description="SQL over the old row that gives the new column's value.")
    nullable: bool = Field(True, description="`false`: no row may be without a value.")
    default: Expression | None = Field(None, description="SQL; from when the new column has taken over.")
    check: Expression | None = Field(None, description="A condition over the new row that every row must keep.")
    unique: bool = Field(False, description="No two rows may share a value.")
    comment: str | None = Field(None, description="What the column is for, kept in the database.")

    def wanted(self, context: Context) -> str:
        """The type as the server spells it; refuses one that would rewrite the table or cannot bear the rules."""
        with context.at("type"):
            wanted = context.probe.type(self.type)
            refuse_ruled_domain(context, wanted)
        if self.unique:
            with context.at("unique"):
                context.probe.key(wanted)
        return wanted

    def verified(
        self,
        context: Context,
        table: Table,
        column: str,
        wanted: str,
        row: Mapping[str, str],
        new_row: Mapping[str, str],
    ) -> Facts:
        """Refuse fragments that do not fit; gives what the server says of `up`."""
        for wished, name in ((self.check, self._check_name(table, column)), (self.unique, self._key(table, column))):
            if wished:
                refuse_taken_name(context, table, name)
        if self.check is not None:
            checked(context, table, self.check, row=new_row, wanted="boolean", field="check")
        if self.default is not None:
            checked(context, table, self.default, row={}, wanted=wanted, field="default")
        refuse_generated(context, table, self.up.columns(table.name.name), "up")
        return checked(context, table, self.up, row=row, wanted=wanted, field="up")

    def column(self, name: str, wanted: str) -> NewColumn:
        return NewColumn(
            name=name,
            type=wanted,
            default=self.default.text if self.default is not None else None,
            not_null=not self.nullable,
            comment=self.comment,
        )

    def checks(self, table: Table, column: str) -> tuple[CheckRule, ...]:
        return (CheckRule(self._check_name(table, column), self.check),) if self.check is not None else ()

    def uniques(self, table: Table, column: str) -> tuple[UniqueRule, ...]:
        return (UniqueRule(self._key(table, column), (column,)),) if self.unique else ()

    def _check_name(self, table: Table, column: str) -> str:
        return rule_name(table.name.name, column, "check")

    def _key(self, table: Table, column: str) -> str:
        return rule_name(table.name.name, column, "key")
