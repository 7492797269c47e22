"""Duplicates merged pair by pair: a batch takes those that are free, whatever becomes of others of the same row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from crossfade.composing import sql
from crossfade.steps.aside import Aside
from crossfade.steps.compose import any_leaf, identifier, in_batch, names, ours
from crossfade.steps.duplicates import Pairs
from crossfade.steps.repoint import Repointing, points_at_any


@dataclass(frozen=True)
class PairByPair:
    """A batch locks rows that go and holds the kept ones; points what points at them at the kept ones; and deletes,
    putting them aside, those at which nothing points any more."""

    pairs: Pairs
    children: tuple[Repointing, ...]
    aside: Aside

    def first(self) -> Iterator[sql.Composable]:
        # The kept row first: where somebody holds that, the other is not locked, so that `ours` of it tells of both.
        yield sql.SQL("SELECT FROM {} WHERE {} AND {} FOR SHARE OF k SKIP LOCKED FOR UPDATE OF t SKIP LOCKED").format(
            self._batch, in_batch("m"), self._due
        )
        goes_itself = sql.SQL("EXISTS (SELECT FROM {} WHERE {} AND {})").format(
            self.pairs.found(self.pairs.sql), self.pairs.goes("c", "m"), self._due
        )
        beside = sql.SQL("(SELECT * FROM {} AS n WHERE {}) AS n").format(any_leaf(), in_batch("n"))
        for child in self.children:
            due = sql.SQL("{} AND {}").format(in_batch("m"), self._due)
            yield from child.statements(self._batch, due, beside=beside, apart=goes_itself)

    def batch(self) -> sql.Composable:
        return sql.SQL(
            """
WITH gone AS (
  DELETE FROM {table} AS t USING {leaf} AS m, {table} AS k
   WHERE {in_range} AND {goes} AND {stays} AND {ours} AND {due} AND NOT {pointed_at} RETURNING {columns})
{put}"""
        ).format(
            table=self.pairs.table,
            leaf=any_leaf(),
            in_range=in_batch("m"),
            goes=self.pairs.goes("t", "m"),
            stays=self.pairs.stays("k", "m"),
            ours=ours("t"),
            due=self._due,
            pointed_at=points_at_any(self.children, "t"),
            columns=names(self.aside.columns, of="t"),
            put=self.aside.put(sql.SQL("gone")),
        )

    def pending(self) -> sql.Composable:
        return sql.SQL("SELECT pg_catalog.count(*) FROM {} WHERE {}").format(
            self.pairs.found(self.pairs.sql), self._due
        )

    def pending_rows(self) -> sql.Composable:
        return sql.SQL("SELECT m.ctid::text FROM {} WHERE {} AND {}").format(self._batch, in_batch("m"), self._due)

    def stuck(self) -> Iterator[tuple[Repointing, sql.Composable]]:
        for child in self.children:
            if child.stays_in_doubt:
                yield child, child.meets_kept()

    @property
    def _batch(self) -> sql.Composable:
        return self.pairs.found(any_leaf())

    @property
    def _due(self) -> sql.Composable:
        """They are still duplicates, and nothing of the one has its like with the other where it may not."""
        stuck = [
            sql.SQL("NOT EXISTS (SELECT FROM {} AS c WHERE {} AND {})").format(
                identifier(child.child.name), child.points_at("c", "t"), meets
            )
            for child, meets in self.stuck()
        ]
        return sql.SQL(" AND ").join([self.pairs.still("t", "k"), *stuck])
