"""move_column: a column goes to another table that is there already, to the row of the same key."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from crossfade.catalog.model import Table
from crossfade.changes._change import Change, Compiled
from crossfade.changes._context import Context
from crossfade.changes._mirrored import (
    Moved,
    add_columns,
    kept_in_step,
    refuse_hidden_rows,
    refuse_new,
    refuse_unmovable,
)
from crossfade.changes._obstacles import refuse_branched
from crossfade.changes._silence import is_silent
from crossfade.composing import sql
from crossfade.spec.databases import search_path
from crossfade.spec.values import Identifier
from crossfade.steps.compose import lock, text
from crossfade.steps.mirror import Half, Mirror
from crossfade.steps.step import EXPAND, Ddl


class MoveColumn(Change):
    """Move a column to another table.

    The value goes to the row of the other table that bears the same key. From expand on triggers keep both in step,
    whoever writes; existing rows are filled in backfill; at the end the column is gone from the old table. Its
    indexes, checks and foreign keys, NOT NULL, default and comment go along.

    ## Old and new versions

    The old version uses the column in the old table, the new one that in the other table, from expand on; there every
    row is filled from the end of backfill on. Rows of both tables come and go as the applications make them: when the
    second of two comes, it gets the value that the first one has, unless it brings one. A value whose row has no other
    one has nowhere to go: such rows are counted, and contract waits until they have one.

    NOT NULL of the column ends in expand, for the new version writes rows without it; in the other table it holds from
    validate on. At `retire` the old column is hidden; the other table alone is written, and goes on filling it. At
    `archive` that ends, and the old values are kept aside; `drop` takes the column away.

    ## Undo

    Until `archive` at once and whole: the old column was kept in step. Later from the archive, and what was written
    since from the other table. Back before expand the new column is dropped.

    ## Locks

    ACCESS EXCLUSIVE on both tables for an instant in expand and at `archive`, on the old one at `retire` and `drop`, on
    the other one where the column gets NOT NULL or a default. Existing rows are locked a batch at a time. A write
    locks the row of both tables. It never waits in a queue for the other one, so nobody deadlocks by it: it asks again
    for up to a second, then goes on alone, and what it wrote is carried over when it commits, when the row is written
    again, or when the engine looks.

    ## Hazards

    - `held-rows`: a row that somebody holds longer than a second differs on both sides until it is carried over;
      contract waits for that up to `locks.budget`.
    - Two clients that write the same column at the same moment, each in the table of its version and before either has
      carried it over: the later one wins. Where both add to a counter, one of the two is lost; have one version count.
    - `prepared-statements`: `SELECT *` of the old table, prepared, fails after `retire` and `drop`.
    - `columns-by-position`: COPY and INSERT without columns into the other table, which gets a column more.
    - A value that the other table refuses does not fail the write: the row is in conflict, and contract waits for it.

    Refused when planned: a key that is not unique and NOT NULL on both sides, or whose types differ, or that operators
    of an extension compare, such as citext; an index, check or foreign key over the column and others; a column that a
    view, policy, trigger, generated column or foreign key from elsewhere reads; row security that is forced on the
    owner.

    ## Example

    ```yaml
    changes:
      - move_column: {table: orders, column: address, to: shipments, as: ship_to, by: {id: order_id}}
    ```
    """

    table: Identifier = Field(description="The table that has the column, or `schema.table`.")
    column: Identifier = Field(description="The column that goes.")
    to: Identifier = Field(description="The table it goes to, or `schema.table`.")
    by: dict[Identifier, Identifier] = Field(
        min_length=1,
        description="The key: column of the old table -> column of the other one; unique and NOT NULL on both sides.",
    )
    as_: Identifier | None = Field(None, alias="as", description="What it is called there, when not as before.")

    def compile(self, context: Context) -> Compiled:
        """A column beside, and a mirror between rows that come and go by themselves."""
        table = context.table(self.table)
        target = context.table(self.to, "to")
        name = self.as_ or self.column
        if table.name == target.name:
            context.refuse(f"{table.name} has the column already", fix="use `rename_column`", at=("to",))
        hazards = refuse_unmovable(context, table, (self.column,), "column")
        refuse_branched(context, target)
        refuse_new(context, target)
        refuse_hidden_rows(context, target)
        if name in context.new_row_types(target):
            context.refuse(f"column {name} exists already in {target.name}", at=("as",) if self.as_ else ("to",))
        self._refuse_key(context, table, tuple(self.by), "by")
        self._refuse_key(context, target, tuple(self.by.values()), "by")
        for here, there in self.by.items():
            if table.by_name[here].type != target.by_name[there].type:
                context.refuse(
                    f"{table.name}.{here} is {table.by_name[here].type}, {target.name}.{there} is"
                    f" {target.by_name[there].type}",
                    why="rows are told by the same key on both sides",
                    fix="change the type of one of both first, with `change_column` in a migration that comes before",
                    at=("by", here),
                )
        mirror = Mirror(
            migration=context.migration,
            database=context.database,
            left=Half(table.name, tuple(self.by), (self.column,)),
            right=Half(target.name, tuple(self.by.values()), (name,)),
            given=(table.by_name[self.column],),
            key_types=tuple(table.by_name[column].type for column in self.by),
            search_path=search_path(context.schema),
            makes=False,
            silent=is_silent(context.catalog, context.head, target.name, where=context.where, done="filled"),
        )
        made = kept_in_step(Moved(context, table, mirror), self._add(context, mirror), hazards=hazards)
        return replace(made, adds=((target.name, name, mirror.given[0].type),))

    def _refuse_key(self, context: Context, table: Table, key: tuple[str, ...], at: str) -> None:
        columns = [context.column(table, name, at) for name in key]
        unique = any(
            index.unique and index.valid and index.predicate is None and set(index.columns) == set(key)
            for index in table.indexes
        )
        if not unique or not all(column.not_null for column in columns):
            context.refuse(
                f"{table.name} ({', '.join(key)}) is not unique and NOT NULL",
                why="a value must have one row to go to, and come from one",
                fix="make it so first, with `add_constraint` and `change_column` in a migration that comes before",
                at=(at,),
            )
        with context.at(at):
            for column in columns:
                context.probe.tells_rows_apart(column.type)
        if self.column in key and table.name == context.name(self.table):
            context.refuse(f"{self.column} is in the key that tells the rows", fix="leave it where it is", at=(at,))

    def _add(self, context: Context, mirror: Mirror) -> Ddl:
        step_id = mirror.id("create")
        right, name = mirror.right, mirror.right.columns[0]
        return Ddl(
            id=step_id,
            leg=EXPAND,
            database=context.database,
            title=f"add {name} to {right.table}, empty",
            locks=lock(right.relation, "ACCESS EXCLUSIVE"),
            statements=text(*add_columns(mirror)),
            undo=(
                Ddl(
                    id=f"{step_id}/undo",
                    leg=EXPAND,
                    database=context.database,
                    title=f"drop {name} of {right.table}",
                    locks=lock(right.relation, "ACCESS EXCLUSIVE"),
                    statements=text(
                        sql.SQL("ALTER TABLE {} DROP COLUMN IF EXISTS {}").format(right.sql, sql.Identifier(name))
                    ),
                ),
            ),
            undo_title="drop the column",
        )
