"""Rows of one foreign key pointed from rows that go at those that are kept, noted so that they can be pointed back.

The work list `m` pairs each row that goes, by its own columns, with the kept one, by columns named `kept`. `t` is the
row that goes, locked in this transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from crossfade.catalog.model import ForeignKey, Table
from crossfade.composing import sql
from crossfade.steps.aside import Aside, forgotten, noted, refers
from crossfade.steps.compose import (
    any_leaf,
    equal,
    identifier,
    in_batch,
    lock,
    names,
    ours,
    per_leaf,
    relation,
    same_key,
    text,
)
from crossfade.steps.names import own_name
from crossfade.steps.step import Ddl, Leg, Relation, Walk

# So many are pointed elsewhere in one transaction; of a row with more of them the rest follows later.
_AT_ONCE = 5000


@dataclass(frozen=True)
class Repointing:
    """A foreign key to `parent`.

    id: of the merge it is part of. uniques: unique keys of the child that hold a column of
    the key. aside: where a row is put, and deleted, whose like the kept row has too; None: it stays, and so does the
    row it points at. silent: the users' triggers must not fire for rows that are pointed back.
    """

    id: str
    migration: str
    database: str
    leg: Leg
    key: ForeignKey
    child: Table
    parent: Table
    uniques: tuple[tuple[str, ...], ...]
    aside: Aside | None
    keep_for: timedelta
    silent: bool

    @property
    def relation(self) -> Relation:
        return relation(self.child.name)

    @property
    def stays_in_doubt(self) -> bool:
        """It may hold up the merge of two rows that both have what only one may have."""
        return bool(self.uniques) and self.aside is None

    @property
    def _sql(self) -> sql.Identifier:
        return identifier(self.child.name)

    @property
    def _log(self) -> str:
        return own_name(self.migration, "moved", self.id, self.key.name, str(self.child.name))

    @property
    def _ends(self) -> list[tuple[str, str]]:
        """Each column of the key, with the one it refers to."""
        return [*zip(self.key.columns, self.key.referenced_columns, strict=True)]

    def _type(self, column: str) -> str:
        return self.child.by_name[column].type

    def points_at(self, row: str, parent: str) -> sql.Composable:
        types = {column.name: column.type for column in self.child.columns}
        return refers(self.key, types, row, parent)

    def has_any(self, row: str) -> sql.Composable:
        """Some row points at the row of the parent."""
        itself = " AND (c.tableoid, c.ctid) <> ({r}.tableoid, {r}.ctid)" if self.child.name == self.parent.name else ""
        return sql.SQL("EXISTS (SELECT FROM {} AS c WHERE {}{})").format(
            self._sql, self.points_at("c", row), sql.SQL(itself).format(r=sql.Identifier(row))
        )

    # --- forward -------------------------------------------------------------------------------------

    def statements(
        self,
        duplicates: sql.Composable,
        due: sql.Composable,
        *,
        beside: sql.Composable,
        apart: sql.Composable | None = None,
    ) -> Iterator[sql.Composable]:
        """Lock what points at the locked rows of `duplicates`; delete what meets its like; point the rest elsewhere.

        beside: pairs that are merged in the same transaction, as `n`. apart: the row `c` of the parent's own table must
        not be locked here, for it is locked together with what is kept for it.
        """
        parts = {
            "child": self._sql,
            "found": sql.SQL("{} AND {} AND {}").format(self.points_at("c", "m"), due, ours("t")),
            "mine": ours("c"),
            "duplicates": duplicates,
            "meets": self._meets(beside),
        }
        yield sql.SQL(
            "SELECT FROM {child} AS c, {duplicates} WHERE {found} AND {free} LIMIT {most} FOR UPDATE OF c SKIP LOCKED"
        ).format(
            **parts,
            free=sql.SQL("({} OR NOT {})").format(ours("c"), apart)
            if apart is not None and self.child.name == self.parent.name
            else sql.SQL("true"),
            most=sql.Literal(_AT_ONCE),
        )
        if self.uniques and self.aside is not None:
            yield sql.SQL(
                "WITH gone AS (DELETE FROM {child} AS c USING {duplicates} WHERE {found} AND {mine} AND {meets}"
                " RETURNING {columns}) {put}"
            ).format(**parts, columns=names(self.aside.columns, of="c"), put=self.aside.put(sql.SQL("gone")))
        ends = [*map(_old, self.key.columns), *map(_new, self.key.columns)]
        yield sql.SQL(
            """
WITH moved AS MATERIALIZED (
  SELECT c.tableoid, c.ctid, {olds}, {news} FROM {child} AS c, {duplicates}
   WHERE {found} AND {mine} AND NOT {meets}),
written AS (
  UPDATE {child} AS c SET {values} FROM moved
   WHERE c.ctid = ANY (ARRAY(SELECT ctid FROM moved)) AND c.ctid = moved.ctid AND c.tableoid = moved.tableoid
  RETURNING {key}, {ends})
INSERT INTO {log} ({logged}) SELECT {logged} FROM written"""
        ).format(
            **parts,
            olds=_named(("c", here, _old(here)) for here in self.key.columns),
            news=_named(("m", kept(there), _new(here)) for here, there in self._ends),
            values=self._set(_new, "moved"),
            key=names(self.child.key, of="c"),
            ends=names(ends, of="moved"),
            log=sql.Identifier("crossfade", self._log),
            logged=names([*self.child.key, *ends]),
        )

    def meets_kept(self) -> sql.Composable:
        """The kept row has the like of `c` already, so that a unique rule keeps `c` from pointing at it too."""
        there = dict(self._ends)
        asked = [
            sql.SQL("EXISTS (SELECT FROM {} AS d WHERE {})").format(
                self._sql,
                sql.SQL(" AND ").join(
                    equal(
                        self._type(column),
                        sql.Identifier("d", column),
                        sql.Identifier("m", kept(there[column])) if column in there else sql.Identifier("c", column),
                    )
                    for column in unique
                ),
            )
            for unique in self.uniques
        ]
        return _any(asked)

    def meets_like(self, beside: sql.Composable) -> sql.Composable:
        """The same, or what points at another pair's row, of the same kept one, has its like; beside: those pairs."""
        others = sql.SQL("ROW({}) <> ROW({})").format(names(self.child.key, of="d"), names(self.child.key, of="c"))
        return _any([self.meets_kept(), *self._siblings(beside, others)])

    def _meets(self, beside: sql.Composable) -> sql.Composable:
        """The same, or another row of this batch that comes before it is about to be pointed there."""
        earlier = sql.SQL("{} AND ROW({}) < ROW({})").format(
            ours("d"), names(self.child.key, of="d"), names(self.child.key, of="c")
        )
        return _any([self.meets_kept(), *self._siblings(beside, earlier)])

    def _siblings(self, beside: sql.Composable, which: sql.Composable) -> Iterator[sql.Composable]:
        """By each unique rule, the row `d` is the like of `c` once both point at what is kept for both."""
        same_kept = [
            equal(
                self.parent.by_name[column].type, sql.Identifier("n", kept(column)), sql.Identifier("m", kept(column))
            )
            for column in self.parent.key
        ]
        for unique in self.uniques:
            same_rest = [
                equal(self._type(column), sql.Identifier("d", column), sql.Identifier("c", column))
                for column in unique
                if column not in self.key.columns
            ]
            yield sql.SQL("EXISTS (SELECT FROM {} AS d, {} WHERE {} AND {} AND {})").format(
                self._sql,
                beside,
                self.points_at("d", "n"),
                sql.SQL(" AND ").join([*same_kept, *same_rest]),
                which,
            )

    # --- back ----------------------------------------------------------------------------------------

    def make_log(self) -> Ddl:
        step_id = f"{self.id}/{self.child.name}.{self.key.name}"
        ends = _named((None, here, name(here)) for name in (_old, _new) for here in self.key.columns)
        created = sql.SQL("CREATE TABLE {} AS SELECT {}, {} FROM {} WITH NO DATA").format(
            sql.Identifier("crossfade", self._log), names(self.child.key), ends, self._sql
        )
        return Ddl(
            id=step_id,
            leg=self.leg,
            database=self.database,
            title=f"make room for where rows of {self.child.name} pointed ({', '.join(self.key.columns)})",
            statements=text(
                created,
                noted(self.migration, str(self.child.name), self._log, self.key.columns, self.leg, self.keep_for),
            ),
            undo=(
                Ddl(
                    id=f"{step_id}/undo",
                    leg=self.leg,
                    database=self.database,
                    title=f"forget where rows of {self.child.name} pointed",
                    statements=text(*forgotten(self._log)),
                ),
            ),
            undo_title="forget it",
        )

    def point_back(self) -> Walk:
        """Rows that still point where they were pointed, once the row they came from is back."""
        in_range = in_batch("a")
        types = {column.name: column.type for column in self.child.columns}
        due = sql.SQL("{} AND {} AND {}").format(
            same_key(self.child.key, types, "c", "a"),
            sql.SQL(" AND ").join(
                equal(types[here], sql.Identifier("c", here), sql.Identifier("a", _new(here)))
                for here in self.key.columns
            ),
            sql.SQL(" AND ").join(
                equal(types[here], sql.Identifier("p", there), sql.Identifier("a", _old(here)))
                for here, there in self._ends
            ),
        )
        # The key's own check would wait for the row of the parent, while we hold rows that its holder may want.
        batch = sql.SQL(
            """
WITH due AS MATERIALIZED (
  SELECT c.tableoid, c.ctid, {old} FROM {found} WHERE {due} AND {in_range}
     FOR UPDATE OF c SKIP LOCKED FOR KEY SHARE OF p SKIP LOCKED)
UPDATE {child} AS c SET {values} FROM due
 WHERE c.ctid = ANY (ARRAY(SELECT ctid FROM due)) AND c.ctid = due.ctid AND c.tableoid = due.tableoid"""
        ).format(
            found=self._with_both_ends(any_leaf()),
            child=self._sql,
            due=due,
            in_range=in_range,
            old=names(map(_old, self.key.columns), of="a"),
            values=self._set(_old, "due"),
        )
        return Walk(
            id=f"{self.id}/undo/{self.child.name}.{self.key.name}",
            leg=self.leg,
            database=self.database,
            title=f"point rows of {self.child.name} at the rows of {self.parent.name} that are back",
            locks=lock(self.relation, "ROW EXCLUSIVE"),
            relation=Relation(schema_name="crossfade", name=self._log),
            batch=per_leaf(batch),
            pending=sql.SQL("SELECT pg_catalog.count(*) FROM {} WHERE {}")
            .format(self._with_both_ends(sql.Identifier("crossfade", self._log)), due)
            .as_string(None),
            pending_rows=per_leaf(
                sql.SQL("SELECT a.ctid::text FROM {} WHERE {} AND {}").format(
                    self._with_both_ends(any_leaf()), due, in_range
                )
            ),
            silent=self.silent,
        )

    def _with_both_ends(self, log: sql.Composable) -> sql.Composable:
        """Entries of the log as `a`, rows of the child as `c` and of the parent as `p`."""
        return sql.SQL("{} AS a, {} AS c, {} AS p").format(log, self._sql, identifier(self.parent.name))

    def _set(self, name: Callable[[str], str], source: str) -> sql.Composable:
        return sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(here), sql.Identifier(source, name(here)))
            for here in self.key.columns
        )


def points_at_any(keys: Iterable[Repointing], row: str) -> sql.Composable:
    """Some row points at the row of the parent, by whatever key."""
    return _any(key.has_any(row) for key in keys)


def kept(column: str) -> str:
    """What the work list calls a column of the kept row."""
    return own_name("kept", column)


def _old(column: str) -> str:
    return own_name("old", column)


def _new(column: str) -> str:
    return own_name("new", column)


def _named(columns: Iterable[tuple[str | None, str, str]]) -> sql.Composable:
    return sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(sql.Identifier(of, column) if of else sql.Identifier(column), sql.Identifier(name))
        for of, column, name in columns
    )


def _any(questions: Iterable[sql.Composable]) -> sql.Composable:
    found = [*questions]
    return sql.SQL("({})").format(sql.SQL(" OR ").join(found)) if found else sql.SQL("false")
