"""Columns of existing rows set in batches, each row once, with their old values kept for the undo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from crossfade.catalog.model import Table
from crossfade.changes._context import Context
from crossfade.changes._obstacles import refuse_branched
from crossfade.changes._silence import is_silent, refuse_unchecked
from crossfade.composing import sql
from crossfade.spec.fragment import Expression
from crossfade.steps.compose import any_leaf, identifier, in_batch, key_text, lock, names, ours, per_leaf, relation
from crossfade.steps.conflicts import resolved
from crossfade.steps.names import own_name
from crossfade.steps.old_values import OldValues
from crossfade.steps.step import BACKFILL, AnyStep, Check, Ddl, Function, Walk

GIVEN_BACK = (
    "give the rows their old values back, by key, where nobody has written since; a key used again with the values set"
    " here passes for the row before"
)


class Given(Protocol):
    """Values that come from outside the database, batch by batch."""

    @property
    def joined(self) -> sql.Composable:
        """Behind the table in FROM: the values, joined to the row `t`."""
        ...

    @property
    def carried(self) -> sql.Composable:
        """Behind the columns of SELECT: the values, by names of ours."""
        ...

    def function(self, due: sql.Composable) -> Function:
        """What makes them of the rows `t` that are due."""
        ...


@dataclass(frozen=True)
class SetRows:
    """The rows of a table that match `where`, and the columns of them that one change sets."""

    context: Context
    table: Table
    columns: tuple[str, ...]
    where: Expression | None

    def refuse_unfit(self, *at: str) -> None:
        """Tables without a key, and columns that are in it or cannot be written. at: the key that names them."""
        context, table = self.context, self.table
        if table.partition_of is None:
            refuse_branched(context, table)
        if not table.key:
            context.refuse(
                f"{table.name} has no primary key or unique NOT NULL index",
                why="a row that was updated already could not be told from one that was not",
                fix="give the table a key first",
            )
        for name in self.columns:
            column = context.column(table, name, *at, name)
            if name in table.key:
                context.refuse(
                    f"{name} is in the key of {table.name}",
                    why="the key tells which rows are done",
                    fix="leave it as it is; for keys of another type there are `widen_key` and `replace_key`",
                    at=(*at, name),
                )
            if column.generated:
                context.refuse(f"{table.name}.{name} is a generated column", why="it cannot be written")

    def steps(
        self, values: Mapping[str, sql.Composable], given: Given | None = None, *, looks_elsewhere: bool = False
    ) -> tuple[AnyStep, ...]:
        """A place for the old values, a walk, and the question whether it is complete.

        values: over the row `t` and what is carried in `batch`. looks_elsewhere: they come from other rows.
        """
        walk = self._walk(values, given, looks_elsewhere=looks_elsewhere)
        return self.make_room(), walk, self.complete()

    @property
    def id(self) -> str:
        return f"{self.table.name}/update/{self.context.index}"

    @property
    def place(self) -> sql.Identifier:
        """Where the old values are kept, by key, and the new ones under names of ours."""
        return self._old.sql

    def same_key(self, left: str, right: str) -> sql.Composable:
        return self._old.same_key(left, right)

    @cached_property
    def silent(self) -> bool:
        """User triggers do not fire, unless the spec says so; where foreign keys need theirs, it must."""
        context, catalog, name = self.context, self.context.catalog, self.table.name
        if not is_silent(catalog, context.head, name, where=context.where, done="set"):
            return False
        refuse_unchecked(context, self.table, self.columns, fired=catalog.fired_by("update", name)[0].name)
        return True

    @cached_property
    def _old(self) -> OldValues:
        context, name = self.context, str(self.table.name)
        stored = own_name(context.migration, "before", name, str(context.index))
        keep = context.head.contract.keep
        return OldValues(context.migration, context.database, BACKFILL, self.table, self.columns, stored, keep)

    def new(self, column: str) -> str:
        """Where the archive keeps the value we set, to see whether somebody has written since."""
        return self._old.new(column)

    def make_room(self) -> Ddl:
        return self._old.make_room(f"{self.id}/keep")

    def unset(self, row: str) -> sql.Composable:
        """The row is to be set and was not."""
        return sql.SQL("({}) AND NOT {}").format(self._matches(row), self._was_set(row))

    def is_set(self, row: str) -> sql.Composable:
        """The contrary, so that it can be looked up row by row."""
        if self.where is None:
            return self._was_set(row)
        return sql.SQL("({} IS NOT TRUE OR {})").format(self._matches(row), self._was_set(row))

    def _matches(self, row: str) -> sql.Composable:
        return self.where.render(self.table.name.name, row) if self.where is not None else sql.SQL("true")

    def _was_set(self, row: str) -> sql.Composable:
        return sql.SQL("EXISTS (SELECT FROM {} AS a WHERE {})").format(self.place, self.same_key("a", row))

    @property
    def due(self) -> sql.Composable:
        """The same of the row `t`, which is in no conflict."""
        return sql.SQL("{} AND NOT EXISTS ({} AND c.resolved_at IS NULL)").format(self.unset("t"), self._conflict())

    def noted(self, which: sql.Composable) -> str:
        """A Walk's `conflict`, of the rows `t` that it names."""
        statement = sql.SQL("SELECT crossfade.note_conflict({}, {}, {}, $3) FROM {} AS t WHERE {}").format(
            sql.Literal(self.context.migration), sql.Literal(str(self.table.name)), self._key_json(), any_leaf(), which
        )
        return per_leaf(statement)

    @property
    def retried(self) -> str:
        """A Walk's `retry`."""
        return resolved(self.context.migration, str(self.table.name)).as_string(None)

    def _conflict(self) -> sql.Composable:
        """The note of a conflict of the row `t`, open or not."""
        return sql.SQL(
            "SELECT FROM crossfade.conflict AS c WHERE c.migration = {} AND c.relation = {} AND c.key = {}"
        ).format(sql.Literal(self.context.migration), sql.Literal(str(self.table.name)), self._key_json())

    def _key_json(self) -> sql.Composable:
        return sql.SQL("pg_catalog.jsonb_build_object({})").format(
            sql.SQL(", ").join(sql.SQL("{}, t.{}").format(sql.Literal(c), sql.Identifier(c)) for c in self.table.key)
        )

    def _walk(self, values: Mapping[str, sql.Composable], given: Given | None, *, looks_elsewhere: bool) -> Walk:
        key = self.table.key
        due = self.due
        in_range = in_batch("t")
        # What other rows say is asked once the row is locked: a count of its children, say, while they come and go.
        locked = sql.SQL("SELECT FROM {} AS t WHERE {} AND {} FOR UPDATE SKIP LOCKED").format(any_leaf(), in_range, due)
        batch = sql.SQL(
            """
WITH batch AS MATERIALIZED (
  SELECT t.ctid, {key_t}, {old_t}{carried} FROM {leaf} AS t{joined} WHERE {in_range} AND {mine} AND {due}
     FOR NO KEY UPDATE OF t SKIP LOCKED),
written AS (
  UPDATE {leaf} AS t SET {values} FROM batch WHERE t.ctid = batch.ctid AND {in_range} RETURNING {key_t}, {old_t})
INSERT INTO {place} ({key}, {old}, {new})
SELECT {key_b}, {old_b}, {old_w} FROM batch JOIN written AS w ON {same}"""
        ).format(
            key=names(key),
            same=self.same_key("batch", "w"),
            key_t=names(key, of="t"),
            key_b=names(key, of="batch"),
            old=names(self.columns),
            old_t=names(self.columns, of="t"),
            old_b=names(self.columns, of="batch"),
            old_w=names(self.columns, of="w"),
            new=names(self.new(name) for name in self.columns),
            leaf=any_leaf(),
            in_range=in_range,
            mine=ours("t") if looks_elsewhere else sql.SQL("true"),
            due=due,
            place=self.place,
            values=sql.SQL(", ").join(
                sql.SQL("{} = {}").format(sql.Identifier(name), value) for name, value in values.items()
            ),
            carried=given.carried if given is not None else sql.SQL(""),
            joined=given.joined if given is not None else sql.SQL(""),
        )
        return Walk(
            id=self.id,
            leg=BACKFILL,
            database=self.context.database,
            title=f"set {', '.join(self.columns)} of {self.table.name}",
            locks=lock(relation(self.table.name), "ROW EXCLUSIVE"),
            relation=relation(self.table.name),
            first=(per_leaf(locked),) if looks_elsewhere else (),
            batch=per_leaf(batch),
            function=given.function(sql.SQL("{} AND {}").format(in_range, due)) if given is not None else None,
            conflict=self.noted(sql.SQL("{} AND {}").format(in_range, due)),
            retry=self.retried,
            pending=sql.SQL("SELECT pg_catalog.count(*) FROM {} AS t WHERE {}")
            .format(identifier(self.table.name), due)
            .as_string(None),
            due=sql.SQL("SELECT {} FROM {} AS t WHERE {}")
            .format(key_text(self.table.key, "t"), identifier(self.table.name), due)
            .as_string(None),
            pending_rows=per_leaf(
                sql.SQL("SELECT t.ctid::text FROM {} AS t WHERE {} AND {}").format(any_leaf(), in_range, due)
            ),
            silent=self.silent,
            writes=self.columns,
            undo=(self.walk_back(),),
            undo_title=GIVEN_BACK,
        )

    def walk_back(self) -> Walk:
        in_range = in_batch("t")
        same = self.same_key("a", "t")
        untouched = sql.SQL("ROW({})::record *= ROW({})::record").format(
            names(self.columns, of="t"), names((self.new(name) for name in self.columns), of="a")
        )
        source = sql.SQL("{} AS t JOIN {} AS a ON {} AND {}")
        # The kept value we set is emptied into the old one, so that a second pass finds nothing left to give back.
        changed = sql.SQL("ROW({})::record *<> ROW({})::record").format(
            names(self.columns, of="t"), names(self.columns, of="a")
        )
        batch = sql.SQL(
            """
WITH batch AS MATERIALIZED (
  SELECT t.ctid, {old_a} FROM {source} WHERE {in_range} AND {changed} FOR NO KEY UPDATE OF t SKIP LOCKED)
UPDATE {leaf} AS t SET {values} FROM batch WHERE t.ctid = batch.ctid AND {in_range}"""
        ).format(
            old_a=names(self.columns, of="a"),
            source=source.format(any_leaf(), self.place, same, untouched),
            in_range=in_range,
            changed=changed,
            leaf=any_leaf(),
            values=sql.SQL(", ").join(
                sql.SQL("{c} = batch.{c}").format(c=sql.Identifier(name)) for name in self.columns
            ),
        )
        return Walk(
            id=f"{self.id}/undo",
            leg=BACKFILL,
            database=self.context.database,
            title=f"give {', '.join(self.columns)} of {self.table.name} their old values back",
            locks=lock(relation(self.table.name), "ROW EXCLUSIVE"),
            relation=relation(self.table.name),
            batch=per_leaf(batch),
            pending=sql.SQL("SELECT pg_catalog.count(*) FROM {} WHERE {}")
            .format(source.format(identifier(self.table.name), self.place, same, untouched), changed)
            .as_string(None),
            pending_rows=per_leaf(
                sql.SQL("SELECT t.ctid::text FROM {} WHERE {} AND {}").format(
                    source.format(any_leaf(), self.place, same, untouched), in_range, changed
                )
            ),
            silent=self.silent,
            writes=self.columns,
        )

    def complete(self) -> Check:
        """The question whether every row could be set."""
        # Of the row and not of the note, which anybody may have taken back. Without a note the walk has proved it, and
        # a row that an application brings later is none of its own.
        unset = sql.SQL(
            'SELECT pg_catalog.count(*) AS "rows that could not be set" FROM {} AS t WHERE EXISTS ({}) AND {}'
        ).format(identifier(self.table.name), self._conflict(), self.unset("t"))
        return Check(
            id=f"{self.id}/complete",
            leg=BACKFILL,
            database=self.context.database,
            title=f"ask that every row of {self.table.name} could be set",
            locks=lock(relation(self.table.name), "ACCESS SHARE"),
            query=unset.as_string(None),
            fix=f"`crossfade conflicts {self.context.migration}` lists them by key; mend them, then run `crossfade up`",
        )
