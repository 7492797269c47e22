"""insert_rows: rows said in the spec, or made from those of another table, each exactly once."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import Field, model_validator

from crossfade.catalog.model import Table
from crossfade.changes._change import Change, Compiled, Mapped
from crossfade.changes._children import unindexed_hazards
from crossfade.changes._context import Context
from crossfade.changes._inserted import Inserted
from crossfade.changes._mapping import checked
from crossfade.changes._obstacles import refuse_branched
from crossfade.changes._silence import is_silent
from crossfade.composing import sql
from crossfade.spec.fragment import Expression, trusted
from crossfade.spec.values import Identifier

Value = str | int | float | bool | None | list[Any] | dict[str, Any]


class InsertRows(Change):
    """Insert rows, said in the spec or made from those of another table, each exactly once.

    `rows` are inserted in one transaction. With `from`, each row of that table that matches `where` gives one row, or
    with `each` one for every element of an array, of a JSON array, or of whatever set the expression gives. It is done
    in backfill, in batches; which rows have been used is noted in the batch's transaction, so that a retry or a kill
    never inserts one twice. Columns that are not named get their defaults: generated ids, say.

    Rows that come into the other table while it runs are taken too; those that come later are not.

    ## Old and new versions

    Both see the rows from backfill on. Where the new version writes the table itself by then, say in `where` which rows
    it has taken care of.

    ## Undo

    Deletes exactly the rows that were inserted, those left out that somebody has changed since, or at which other rows
    point.

    ## Locks

    ROW EXCLUSIVE on the table, ACCESS SHARE on the other one: nothing that makes reads or writes wait. Undo locks the
    rows of a batch, for about as long as `backfill.target`.

    ## Hazards

    - A row that breaks a rule of the table stops the phase, and nothing of its batch is inserted; with `existing: keep`
      a row is left out where a unique rule finds another one there.
    - Refused: a table without a key, from which undo could not delete; with `from`, another table without one.
    - Users' triggers fire only with `backfill: {fire_triggers: true}`. What silences them silences foreign keys too, so
      a table with both is refused until the spec says it.

    ## Example

    ```yaml
    changes:
      - insert_rows:
          table: roles
          rows:
            - {name: reader, may_write: false}
            - {name: writer, may_write: true}
          existing: keep
      - insert_rows:
          table: user_tags
          from: users
          each: unnest(users.tags)
          values: {user_id: id, tag: each}
    ```
    """

    table: Identifier = Field(description="The table; it needs a primary key, or a unique index over NOT NULL columns.")
    rows: tuple[dict[Identifier, Value], ...] = Field(
        (), description="The rows: for each column its value, as it is; a list or a mapping is JSON."
    )
    source: Identifier | None = Field(
        None, alias="from", description="The table whose rows give rows; it needs a key as well."
    )
    each: Expression | None = Field(
        None,
        description="With `from`: SQL over its row that gives a set, such as `unnest(tags)`; `values` and `where` call"
        " one of it `each`.",
    )
    values: dict[Identifier, Expression] = Field(
        default_factory=dict[str, Expression], description="With `from`: for each column, SQL over the other row."
    )
    where: Expression | None = Field(None, description="With `from`: SQL over the other row: which; without it all.")
    existing: Literal["refuse", "keep"] = Field(
        "refuse",
        description="Where a unique rule finds another row: `refuse`: the phase stops. `keep`: it stays as it is.",
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> InsertRows:
        if bool(self.rows) == (self.source is not None):
            raise ValueError("give either `rows` or `from`")
        if self.source is not None and not self.values:
            raise ValueError("`from` wants `values`: for each column, SQL over the other row")
        if self.source is None and (self.values or self.where or self.each):
            raise ValueError("`values`, `where` and `each` go with `from`")
        return self

    def compile(self, context: Context) -> Compiled:
        """Room for what is inserted, then one statement, or a walk over the other table."""
        table = context.table(self.table)
        if table.partition_of is None:
            refuse_branched(context, table)
        self._refuse_keyless(context, table, "undo could not tell which rows to delete", "table")
        made = Inserted(context, table, self._silent(context, table), self.existing == "keep")
        hazards = tuple(unindexed_hazards(context.catalog, context.catalog.references_to(table.name)))
        if self.source is None:
            return Compiled(steps=made.at_once(self._listed(context, table)), hazards=hazards)
        source = context.table(self.source, "from")
        self._refuse_keyless(context, source, "a row could not be told from one that was used already", "from")
        if source is table:
            context.refuse(
                f"{table.name} is to give rows to itself",
                why="each of these would give another one, without end",
                fix="insert them with a `sql` change, or by way of another table",
                at=("from",),
            )
        self._check(context, table, source)
        maps = tuple(
            Mapped(table.name, name, tuple(sorted(value.columns(source.name.name))), value.text, source.name)
            for name, value in self.values.items()
        )
        return Compiled(steps=made.by_and_by(source, self.each, self.values, self.where), hazards=hazards, maps=maps)

    def _refuse_keyless(self, context: Context, table: Table, why: str, at: str) -> None:
        if not table.key:
            context.refuse(
                f"{table.name} has no primary key or unique NOT NULL index",
                why=why,
                fix="give the table a key first",
                at=(at,),
            )

    def _silent(self, context: Context, table: Table) -> bool:
        if not is_silent(
            context.catalog, context.head, table.name, where=context.where, done="inserted", event="insert"
        ):
            return False
        if keys := context.catalog.references_from(table.name):
            context.refuse(
                f"{table.name} has a foreign key {keys[0].name}, and trigger"
                f" {context.catalog.fired_by('insert', table.name)[0].name} would fire",
                why="what silences user triggers silences the foreign key's check too",
                fix="say `backfill: {fire_triggers: true}`",
            )
        return True

    def _check(self, context: Context, table: Table, source: Table) -> None:
        row = context.row_types(source)
        if self.each is not None:
            bare = source.name.name
            element = Expression(f"(SELECT {self.each.render(bare, bare).as_string(None)} LIMIT 1)")
            with context.at("each"):
                row = row | {"each": context.probe.expression(element, table=bare, row=row).type}
        for name, value in self.values.items():
            column = context.column(table, name, "values", name)
            if column.generated:
                context.refuse(f"{table.name}.{name} is a generated column", at=("values", name))
            field = f"value of {name}"
            checked(context, source, value, row=row, wanted=column.type, field=field, at=("values", name))
        if self.where is not None:
            checked(context, source, self.where, row=row, wanted="boolean", field="where")

    def _listed(self, context: Context, table: Table) -> list[tuple[tuple[str, ...], sql.Composable]]:
        """Each row's columns and values. Those that name the same columns could be one statement; they are few."""
        found: list[tuple[tuple[str, ...], sql.Composable]] = []
        for index, row in enumerate(self.rows):
            values: list[sql.Composable] = []
            for name, value in row.items():
                column = context.column(table, name, "rows", index, name)
                if column.generated:
                    context.refuse(f"{table.name}.{name} is a generated column", at=("rows", index, name))
                literal = sql.Literal(_written(value))
                values.append(sql.SQL("CAST({} AS {})").format(literal, trusted(column.type)))
            found.append((tuple(row), sql.SQL(", ").join(values)))
        return found


def _written(value: Value) -> str | None:
    """As PostgreSQL reads it in text."""
    match value:
        case None | str():
            return value
        case bool() | list() | dict():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return str(value)
