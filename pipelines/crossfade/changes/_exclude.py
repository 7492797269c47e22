"""An exclusion constraint: the one rule that PostgreSQL cannot add while a table is used."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, model_validator

from crossfade.catalog.model import Table
from crossfade.changes._change import Hazard
from crossfade.changes._context import Context, Path
from crossfade.changes._mapping import checked
from crossfade.composing import sql
from crossfade.spec.fragment import Expression, trusted
from crossfade.spec.values import Identifier, SpecModel
from crossfade.steps.compose import lock, text
from crossfade.steps.rules import Place, Rule, added, at_once, drop_constraint, renamed
from crossfade.steps.step import Ddl, Guard


class Excluded(SpecModel):
    """What is compared of two rows, and how."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    column: Identifier | None = Field(None, description="A column, or")
    expression: Expression | None = Field(None, description="SQL over the row.")
    with_: str = Field(alias="with", description="The operator: `=`, `&&`, ...", pattern=r"^[-+*/<>=~!@#%^&|`?]{1,63}$")
    opclass: str | None = Field(None, description="An operator class.", pattern=r"^[A-Za-z_][\w.]*$")

    @model_validator(mode="after")
    def _one_of_both(self) -> Excluded:
        if (self.column is None) == (self.expression is None):
            raise ValueError("give either `column` or `expression`")
        return self


class Exclude(SpecModel):
    """No two rows for which every comparison gives true."""

    elements: Annotated[tuple[Excluded, ...], Field(min_length=1)] = Field(description="The comparisons.")
    method: str = Field("gist", description="The access method of its index.", pattern=r"^[a-z_][a-z0-9_]*$")
    where: Expression | None = Field(None, description="SQL over the row: only such rows are compared.")

    @property
    def expressions(self) -> tuple[Expression, ...]:
        return tuple(found for found in (*(each.expression for each in self.elements), self.where) if found)

    def read(self, table: str) -> list[str]:
        """The columns it reads."""
        named = {each.column for each in self.elements if each.column is not None}
        return sorted(named | {column for expression in self.expressions for column in expression.columns(table)})

    def clause(self, context: Context, table: Table, deferral: str) -> sql.Composed:
        """As a table's definition has it; refuses what PostgreSQL would refuse when its index is built."""
        parts = [self._part(context, table, each, ("exclude", "elements", i)) for i, each in enumerate(self.elements)]
        where = sql.SQL("")
        if self.where is not None:
            at, row = ("exclude", "where"), context.new_row_types(table)
            checked(context, table, self.where, row=row, wanted="boolean", field="where", at=at)
            rendered = self.where.render(table.name.name, None, context.physical_names(table))
            where = sql.SQL(" WHERE ({})").format(rendered)
        return sql.SQL("EXCLUDE USING {} ({}){} {}").format(
            sql.Identifier(self.method), sql.SQL(", ").join(parts), where, trusted(deferral)
        )

    def _part(self, context: Context, table: Table, each: Excluded, at: Path) -> sql.Composed:
        row, value = context.new_row_types(table), sql.SQL("")
        if each.expression is not None:
            with context.at(*at, "expression"):
                type_ = context.probe.expression(each.expression, table=table.name.name, row=row).type
            rendered = each.expression.render(table.name.name, None, context.physical_names(table))
            value = sql.SQL("({})").format(rendered)
        else:
            physical = context.physical(table, each.column or "", *at, "column")
            type_, value = row[each.column or ""], sql.Identifier(physical)
        with context.at(*at):
            context.probe.key(type_, self.method, each.opclass)
        with context.at(*at, "with"):
            context.probe.excludes(type_, each.with_, self.method, each.opclass)
        opclass = trusted(f" {each.opclass}" if each.opclass else "")
        return sql.SQL("{}{} WITH {}").format(value, opclass, trusted(each.with_))


def exclusion(context: Context, table: Table, place: Place, name: str, clause: sql.Composed, *, accepted: bool) -> Rule:
    """accepted: nobody reads or writes the table while the index is built, and the spec says so."""
    if place.new:
        return Rule(
            (at_once(place, f"{name}/exclude", f"add the exclusion constraint {name}", added(place, name, clause)),)
        )
    own = place.named("exclude", name)
    if not accepted:
        _refuse_rows(context, table)
    empty = sql.SQL("SELECT pg_catalog.pg_relation_size({}::regclass) = 0").format(
        sql.Literal(place.sql.as_string(None))
    )
    still_empty = Guard(
        query=empty.as_string(None),
        refusal=f"{table.name} was empty when this was planned, and is not any more",
        why="PostgreSQL would build the constraint's index while nobody can read or write",
        fix="roll back, and say `accept_blocking: true` where that may be",
    )
    add = Ddl(
        id=place.id(name, "exclude", "add"),
        leg=place.leg,
        database=place.database,
        title=f"add the exclusion constraint {name} to {table.name}",
        locks=lock(place.relation, "ACCESS EXCLUSIVE"),
        statements=text(added(place, own, clause)),
        guards=() if accepted else (still_empty,),
        works_locked=accepted,
        undo=(drop_constraint(place, own, place.id(name, "exclude", "add", "undo")),),
        undo_title="drop the constraint",
    )
    return Rule((add,), *renamed(place, own, name))


def blocked_while_built(table: Table) -> Hazard:
    return Hazard(
        "blocked-while-built",
        "danger",
        f"nobody reads or writes {table.name} ({_size(table)}) while the exclusion constraint's index is built; rows"
        " that conflict make the build fail, and all is as before",
        "let it begin in a `window` in which the table is not needed",
    )


def _refuse_rows(context: Context, table: Table) -> None:
    if table.blocks:
        context.refuse(
            f"{table.name} has {_size(table)}, and an exclusion constraint cannot be added while it is used",
            why="PostgreSQL takes it neither NOT VALID nor over an index that is there: it builds the index while"
            " nobody can read or write the table",
            fix="say `accept_blocking: true` to have it so, in a window; or create a new table with the constraint, and"
            " move the rows there",
            at=("exclude",),
        )


def _size(table: Table) -> str:
    rows = f"about {table.rows:,} rows" if table.rows >= 0 else "an unknown number of rows"
    return f"{rows}, {table.size / 2**20:,.1f} MB"
