"""add_column: a new column, empty, with a default, or made from the row's other columns."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from crossfade.catalog.model import Table
from crossfade.changes._change import Change, Compiled, Hazard, Mapped, Need
from crossfade.changes._context import Context
from crossfade.changes._mapping import checked, is_total
from crossfade.changes._obstacles import (
    refuse_branched,
    refuse_generated,
    refuse_ruled_domain,
    refuse_taken_name,
    rule_name,
)
from crossfade.changes._parts import key_index, made_constraint
from crossfade.changes._prepared import prepared_hazard
from crossfade.changes._ruled import ruled
from crossfade.changes._triggers import refuse_late_triggers
from crossfade.composing import sql
from crossfade.spec.fragment import Expression, TypeName, trusted
from crossfade.spec.values import Identifier
from crossfade.steps import rules
from crossfade.steps.compose import identifier, lock, text
from crossfade.steps.keys import Key, key_rule
from crossfade.steps.rows import CheckRule, NewColumn, Pair, UniqueRule
from crossfade.steps.rules import Place, at_once
from crossfade.steps.step import EXPAND, Ddl


class AddColumn(Change):
    """Add a column: empty, with a default, or made from the row's other columns.

    Without `up` it is one `ALTER TABLE` in expand that touches no row. With `up`, or with a volatile default such
    as `gen_random_uuid()`, existing rows are filled in backfill, and a trigger maps new writes until `archive`.
    With `down`, writes of the new version keep the old columns right as well.

    ## Old and new versions

    The old version does not know the column. The new one may use it when expand has ended, and rely on it in every
    row when validate has. A value that `up` cannot give never fails the old version's write: the row is a conflict.

    Without `down` the column is the new version's own: what it writes there stays until somebody writes what `up`
    reads, and validate proves that every row is filled, not that it is as `up` says. With `down`, only the columns that
    it writes are the old version's: see [how the sync decides](../phases.md#how-the-sync-decides).

    ## Undo

    Drops the column.

    ## Locks

    ACCESS EXCLUSIVE on the table for an instant, in expand; rules are proved over the rows under locks that let
    reads and writes go on.

    ## Hazards

    A rule over the column (`nullable: false`, `check`, `unique`) binds old writers from where `enforce` of the
    migration says. From `archive` on nothing maps their rows any more. `not-compared` is told where there is `up` and
    no `down`. Statements prepared as `SELECT *` are refused once after expand.

    ## Example

    ```yaml
    changes:
      - add_column:
          table: users
          column: full_name
          type: text
          up: first_name || ' ' || last_name
          down: {first_name: "split_part(full_name, ' ', 1)", last_name: "split_part(full_name, ' ', 2)"}
      - add_column: {table: users, column: locale, type: text, nullable: false, default: "'en'"}
    ```
    """

    table: Identifier = Field(description="The table, or `schema.table`.")
    column: Identifier = Field(description="Its name.")
    type: Annotated[TypeName, Field(min_length=1)] = Field(
        description="As in SQL: `text`, `numeric(10,2)`.", examples=["text", "numeric(10,2)"]
    )
    nullable: bool = Field(True, description="Whether it may be NULL.")
    default: Expression | None = Field(None, description="SQL for rows that name no value.")
    up: Expression | None = Field(None, description="SQL over the old row that gives the new column's value.")
    down: dict[Identifier, Expression] = Field(
        default_factory=dict[str, Expression],
        description="Old column -> SQL over the new row that gives its value.",
    )
    check: Expression | None = Field(
        None, description="SQL over the new row; the constraint is called `<table>_<column>_check`."
    )
    unique: bool = Field(False, description="The constraint is called `<table>_<column>_key`.")
    comment: str | None = Field(None, description="Its comment.")

    def compile(self, context: Context) -> Compiled:
        """A plain ADD COLUMN where the catalog can do it alone; a pair where rows need values."""
        table = context.table(self.table)
        refuse_branched(context, table)
        if self.column in context.new_row_types(table):
            context.refuse(f"column {self.column} exists already in {table.name}", at=("column",))
        if self.up is None and self.down:
            context.refuse(
                "down without up",
                why="rows that exist would have nothing to go down from",
                fix="give `up`",
                at=("down",),
            )
        with context.at("type"):
            wanted = context.probe.type(self.type)
            refuse_ruled_domain(context, wanted)
        new_row = {**context.row_types(table), self.column: wanted}
        for wished, name in ((self.check, self._check_name(table)), (self.unique, self._key_name(table))):
            if wished:
                refuse_taken_name(context, table, name)
        if self.unique:
            with context.at("unique"):
                context.probe.key(wanted)
        if self.check is not None:
            checked(context, table, self.check, row=new_row, wanted="boolean", field="check")
        volatile = False
        if self.default is not None:
            volatile = checked(context, table, self.default, row={}, wanted=wanted, field="default").volatile
        if self.up is None and (not volatile or context.is_new(table)):
            return self._plain(context, table, wanted)
        return self._mapped(context, table, wanted, new_row)

    def _check_name(self, table: Table) -> str:
        return rule_name(table.name.name, self.column, "check")

    def _key_name(self, table: Table) -> str:
        return rule_name(table.name.name, self.column, "key")

    def _plain(self, context: Context, table: Table, wanted: str) -> Compiled:
        """By the catalog alone: no row is touched."""
        valueless = self.default is None or self.default.text.upper() == "NULL"
        if not self.nullable and valueless and not context.is_new(table):
            context.refuse(
                f"{table.name}.{self.column} is to be NOT NULL, and rows that exist have no value for it",
                fix="give `default` or `up`, or `nullable: true`",
            )
        target, column = identifier(table.name), sql.Identifier(self.column)
        clauses: list[sql.Composable] = []
        if self.default is not None:
            clauses.append(sql.SQL("DEFAULT {}").format(trusted(f"({self.default})")))
        if not self.nullable:
            clauses.append(sql.SQL("NOT NULL"))
        statements: list[sql.Composable] = [
            sql.SQL("ALTER TABLE {} ADD COLUMN {} {} {}").format(
                target, column, trusted(wanted), sql.SQL(" ").join(clauses)
            )
        ]
        if self.comment:
            name = sql.Identifier(table.name.schema, table.name.name, self.column)
            statements.append(sql.SQL("COMMENT ON COLUMN {} IS {}").format(name, sql.Literal(self.comment)))
        place = context.place(table)
        added = self._added(place, statements)
        found: list[rules.Rule] = []
        if self.check is not None:
            condition = self.check.render(table.name.name, None)
            shown = f"the check {self._check_name(table)}"
            found.append(
                rules.check(place, self._check_name(table), condition, subject=self._check_name(table), shown=shown)
            )
        if self.unique:
            shown = f"{table.name} ({self.column})"
            key = Key((self.column,))
            found.append(key_rule(place, self._key_name(table), key, subject=self._key_name(table), shown=shown))
        adds = ((table.name, self.column, wanted),)
        hazards = () if place.new else (prepared_hazard(table, "note", "after expand"),)
        read = self.check.columns(table.name.name) if self.check is not None else ()
        needs = tuple(Need(table.name, name, follows=False) for name in sorted(read))
        made = made_constraint(self._key_name(table), "unique", (self.column,), "")
        return Compiled(
            steps=(added, *ruled(context, place, found)),
            adds=adds,
            indexes=((table.name, key_index(made)),) if self.unique else (),
            constraints=((table.name, made),) if self.unique else (),
            hazards=hazards,
            needs=needs,
        )

    def _added(self, place: Place, statements: list[sql.Composable]) -> Ddl:
        subject, title = f"{self.column}/add", f"add column {self.column} to {place.relation}"
        if place.new:
            return at_once(place, subject, title, *statements)
        dropped = sql.SQL("ALTER TABLE {} DROP COLUMN IF EXISTS {}").format(place.sql, sql.Identifier(self.column))
        return Ddl(
            id=place.id(subject),
            leg=EXPAND,
            database=place.database,
            title=title,
            locks=lock(place.relation, "ACCESS EXCLUSIVE"),
            statements=text(*statements),
            undo=(
                Ddl(
                    id=place.id(subject, "undo"),
                    leg=EXPAND,
                    database=place.database,
                    title=f"drop column {self.column} of {place.relation}",
                    locks=lock(place.relation, "ACCESS EXCLUSIVE"),
                    statements=text(dropped),
                ),
            ),
            undo_title="drop the column",
        )

    def _mapped(self, context: Context, table: Table, wanted: str, new_row: dict[str, str]) -> Compiled:
        """Existing rows are filled, and both versions' writes kept in step."""
        row = context.row_types(table)
        up = self.up or self.default
        assert up is not None
        facts = checked(context, table, up, row=row, wanted=wanted, field="up")
        refuse_generated(context, table, up.columns(table.name.name), "up")
        total = is_total(up, row, wanted)
        for name, down in self.down.items():
            target = context.column(table, name, "down", name)
            checked(context, table, down, row=new_row, wanted=target.type, field=f"down of {name}", at=("down", name))
            refuse_generated(context, table, down.columns(table.name.name) | {name}, f"down of {name}")
            total = total and is_total(down, new_row, target.type)
        read = {column for given in (up, *self.down.values()) for column in given.columns(table.name.name)}
        refuse_late_triggers(context, table, frozenset(read | self.down.keys()) - {self.column})
        new = NewColumn(
            name=self.column,
            type=wanted,
            default=self.default.text if self.default else None,
            not_null=not self.nullable,
            comment=self.comment,
        )
        pair = Pair(
            title=f"{table.name}.{self.column}",
            old=(),
            new=(new,),
            up={self.column: up},
            down=self.down,
            repeatable=facts.repeatable,
            total=total,
            checks=(CheckRule(self._check_name(table), self.check),) if self.check is not None else (),
            uniques=(UniqueRule(self._key_name(table), (self.column,)),) if self.unique else (),
        )
        sources = tuple(sorted(up.columns(table.name.name)))
        hazards = [prepared_hazard(table, "note", "after expand and archive")]
        if self.up is not None and not self.down:
            hazards.append(_not_compared(table, self.column, sources))
        return Compiled(
            pairs=((table.name, pair),),
            maps=(Mapped(table.name, self.column, sources, up.text),),
            hazards=tuple(hazards),
        )


def _not_compared(table: Table, column: str, sources: tuple[str, ...]) -> Hazard:
    return Hazard(
        "not-compared",
        "note",
        f"{table.name}.{column} has no `down`: the new version may write into it what it likes, until somebody writes"
        f" {', '.join(sources) or 'the row'} again; so validate proves that every row is filled, not that it is as `up`"
        " says",
        "give `down` where the old columns shall follow, and both sides be compared",
    )
