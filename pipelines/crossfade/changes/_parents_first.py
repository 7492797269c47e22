"""Rows of a table set after those they point at, whose values they are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from crossfade.changes._set_rows import GIVEN_BACK, SetRows
from crossfade.composing import sql
from crossfade.steps.compose import any_leaf, equal, identifier, in_batch, key_text, lock, names, per_leaf, relation
from crossfade.steps.step import BACKFILL, AnyStep, Check, Walk

PARENT = "parent"  # what a spec calls the row above


@dataclass(frozen=True)
class ParentsFirst:
    """by: column -> the column of the same table that it points at. reads: columns of the parent that values name.

    A row that points at none, or at itself, has no parent. One whose parent is not to be set need not wait for it.
    """

    rows: SetRows
    by: Mapping[str, str]
    reads: tuple[str, ...]

    def refuse_unfit(self) -> None:
        """Rows that would have several parents, or be set for their children to point elsewhere."""
        context, table = self.rows.context, self.rows.table
        if table.name.name == PARENT:
            context.refuse(f"{table.name} is called {PARENT}", why="so is the row above in `set`", at=("table",))
        for name, above in self.by.items():
            column = context.column(table, name, "parent", name)
            referenced = context.column(table, above, "parent", name)
            if column.type != referenced.type:
                context.refuse(
                    f"{name} is {column.type}, {above} is {referenced.type}",
                    why="a row's parent is the one whose columns have the same values",
                    at=("parent", name),
                )
            if name in self.rows.columns:
                context.refuse(f"{name} tells the parent, and is set", at=("parent", name))
        wanted = frozenset(self.by.values())
        if not any(
            index.valid and index.unique and index.predicate is None and frozenset(index.columns) == wanted
            for index in table.indexes
        ):
            context.refuse(
                f"{', '.join(self.by.values())} of {table.name} is not unique",
                why="a row could have several parents",
                at=("parent",),
            )

    def steps(self, values: Mapping[str, sql.Composable]) -> tuple[AnyStep, ...]:
        """values: over the row `t` and `parent`, which has the columns of `reads`."""
        return self.rows.make_room(), self._walk(values), self._complete()

    def _points(self, row: str, parent: str) -> sql.Composable:
        types = {column.name: column.type for column in self.rows.table.columns}
        return sql.SQL(" AND ").join(
            equal(types[above], sql.Identifier(parent, above), sql.Identifier(row, name))
            for name, above in self.by.items()
        )

    def _is_above(self, parent: str, row: str) -> sql.Composable:
        """The row `parent` is another one, at which the row points."""
        return sql.SQL("{} AND NOT ({})").format(self._points(row, parent), self.rows.same_key(parent, row))

    def _is_ready(self, row: str) -> sql.Composable:
        """No row above is still to be set."""
        return sql.SQL("NOT EXISTS (SELECT FROM {} AS p WHERE {} AND {})").format(
            identifier(self.rows.table.name), self._is_above("p", row), self.rows.unset("p")
        )

    @cached_property
    def _due(self) -> sql.Composable:
        return self.rows.due

    def _reached(self, unset: sql.Composable) -> sql.Composable:
        """WITH: the rows `t` that are to be set and those above them can be, first of all."""
        table = self.rows.table
        columns = tuple(dict.fromkeys((*table.key, *self.by.values())))
        return sql.SQL(
            "WITH RECURSIVE reached AS (SELECT {columns} FROM {table} AS t WHERE {unset} AND {ready}"
            " UNION ALL SELECT {columns} FROM {table} AS t JOIN reached ON {above} WHERE {unset})"
        ).format(
            columns=names(columns, of="t"),
            table=identifier(table.name),
            unset=unset,
            ready=self._is_ready("t"),
            above=self._is_above("reached", "t"),
        )

    def _walk(self, values: Mapping[str, sql.Composable]) -> Walk:
        rows, table, columns = self.rows, self.rows.table, self.rows.columns
        context, key = rows.context, table.key
        in_range = sql.SQL("{} AND {}").format(in_batch("t"), self._due)
        # Whoever writes a parent, and what is made of it in its children, comes before or after: it is held meanwhile.
        batch = sql.SQL(
            """
WITH parent AS MATERIALIZED (
  SELECT {read} FROM (SELECT DISTINCT {points_t} FROM {leaf} AS t WHERE {in_range}) AS m
    JOIN {table} AS p ON {points_m} WHERE {set_p} FOR SHARE OF p SKIP LOCKED),
batch AS MATERIALIZED (
  SELECT t.ctid, {key_t}, {old_t}, {values}
    FROM {leaf} AS t LEFT JOIN parent ON {above}
   WHERE {in_range} AND (parent.{known} IS NOT NULL
         OR NOT EXISTS (SELECT FROM {table} AS p WHERE {above_p})) FOR NO KEY UPDATE OF t SKIP LOCKED),
written AS (
  UPDATE {leaf} AS t SET {set} FROM batch
   WHERE t.ctid = batch.ctid AND {still} RETURNING {key_t}, {old_t})
INSERT INTO {place} ({key}, {old}, {new})
SELECT {key_b}, {old_b}, {old_w} FROM batch JOIN written AS w ON {same_key}"""
        ).format(
            leaf=any_leaf(),
            table=identifier(table.name),
            read=names(dict.fromkeys((*key, *self.by.values(), *self.reads)), of="p"),
            in_range=in_range,
            still=in_batch("t"),
            above=self._is_above(PARENT, "t"),
            above_p=self._is_above("p", "t"),
            points_t=names(self.by, of="t"),
            points_m=self._points("m", "p"),
            set_p=rows.is_set("p"),
            known=sql.Identifier(key[0]),
            key=names(key),
            key_t=names(key, of="t"),
            key_b=names(key, of="batch"),
            old=names(columns),
            old_t=names(columns, of="t"),
            old_b=names(columns, of="batch"),
            old_w=names(columns, of="w"),
            new=names(map(rows.new, columns)),
            values=sql.SQL(", ").join(
                sql.SQL("{} AS {}").format(value, sql.Identifier(rows.new(name))) for name, value in values.items()
            ),
            set=sql.SQL(", ").join(
                sql.SQL("{} = batch.{}").format(sql.Identifier(name), sql.Identifier(rows.new(name)))
                for name in columns
            ),
            same_key=rows.same_key("batch", "w"),
            place=rows.place,
        )
        counted = sql.SQL("{} SELECT pg_catalog.count(*) FROM reached").format(self._reached(self._due))
        listed = sql.SQL("SELECT t.ctid::text FROM {} AS t WHERE {} AND {}")
        return Walk(
            id=rows.id,
            leg=BACKFILL,
            database=context.database,
            title=f"set {', '.join(columns)} of {table.name}, parents first",
            locks=lock(relation(table.name), "ROW EXCLUSIVE"),
            relation=relation(table.name),
            in_order=True,
            again=True,  # rows that were above themselves are not any more
            batch=per_leaf(batch),
            conflict=rows.noted(sql.SQL("{} AND {}").format(in_range, self._is_ready("t"))),
            retry=rows.retried,
            pending=counted.as_string(None),
            due=sql.SQL("{} SELECT {} FROM reached")
            .format(self._reached(self._due), key_text(key, "reached"))
            .as_string(None),
            pending_rows=per_leaf(listed.format(any_leaf(), in_range, self._is_ready("t"))),
            silent=rows.silent,
            writes=columns,
            undo=(rows.walk_back(),),
            undo_title=GIVEN_BACK,
        )

    def _complete(self) -> Check:
        """Rows without a note that cannot be reached are above themselves, or below one that is."""
        check = self.rows.complete()
        unset = self.rows.unset("t")
        round_and_round = sql.SQL(
            "({} SELECT (SELECT pg_catalog.count(*) FROM {} AS t WHERE {}) - (SELECT pg_catalog.count(*) FROM reached))"
            ' AS "rows that are above themselves, or below such a one"'
        ).format(self._reached(unset), identifier(self.rows.table.name), unset)
        return check.model_copy(
            update={"query": f"SELECT asked.*, {round_and_round.as_string(None)} FROM ({check.query}) AS asked"}
        )
