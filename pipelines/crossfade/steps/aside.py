"""Whole rows put aside before they are deleted, and how they come back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from crossfade.catalog.model import Table
from crossfade.catalog.objects import ForeignKey
from crossfade.composing import sql
from crossfade.steps.compose import (
    any_leaf,
    equal,
    identifier,
    in_batch,
    lock,
    names,
    per_leaf,
    relation,
    same_key,
    text,
)
from crossfade.steps.names import own_name
from crossfade.steps.step import Ddl, Leg, Relation, Walk


@dataclass(frozen=True)
class Aside:
    """A table of the rows that one change deletes from `table`.

    subject: tells it from others of the migration over the same table. parents: its foreign keys, those to itself too.
    silent: the users' triggers must not fire for rows that come back.
    """

    migration: str
    database: str
    table: Table
    parents: tuple[ForeignKey, ...]
    subject: str
    leg: Leg
    keep: timedelta
    silent: bool

    @property
    def stored(self) -> str:
        return own_name(self.migration, "deleted", self.subject, str(self.table.name))

    @property
    def sql(self) -> sql.Identifier:
        return sql.Identifier("crossfade", self.stored)

    @property
    def relation(self) -> Relation:
        return relation(self.table.name)

    @property
    def columns(self) -> tuple[str, ...]:
        """All that a row holds by itself."""
        return tuple(column.name for column in self.table.columns if not column.generated)

    def put(self, gone: sql.Composable) -> sql.Composable:
        """The INSERT of rows from `gone`, which a DELETE in a WITH before it has returned."""
        return sql.SQL("INSERT INTO {} ({cols}) SELECT {cols} FROM {}").format(self.sql, gone, cols=names(self.columns))

    def make_room(self, step_id: str) -> Ddl:
        return Ddl(
            id=f"{step_id}/keep",
            leg=self.leg,
            database=self.database,
            title=f"make room for the rows that {self.table.name} loses",
            statements=text(
                sql.SQL("CREATE TABLE {} AS SELECT {} FROM {} WITH NO DATA").format(
                    self.sql, names(self.columns), identifier(self.table.name)
                ),
                noted(self.migration, str(self.table.name), self.stored, self.columns, self.leg, self.keep),
            ),
            undo=(
                Ddl(
                    id=f"{step_id}/keep/undo",
                    leg=self.leg,
                    database=self.database,
                    title=f"drop the room for rows of {self.table.name}",
                    statements=text(*forgotten(self.stored)),
                ),
            ),
            undo_title="drop the kept rows",
        )

    def bring_back(self, step_id: str) -> Walk:
        """Each row once: what comes back leaves this table in the same statement.

        What a unique rule has against one, `_free` sees, or the statement fails: it is not lost.
        """
        in_range = in_batch("a")
        batch = sql.SQL(
            """
WITH due AS MATERIALIZED (
  SELECT a.ctid FROM {leaf} AS a WHERE {in_range} AND {free} FOR UPDATE SKIP LOCKED),
back AS (DELETE FROM {leaf} AS a USING due WHERE a.ctid = due.ctid AND {in_range} RETURNING {cols_a})
INSERT INTO {table} ({cols}) OVERRIDING SYSTEM VALUE SELECT {cols} FROM back"""
        ).format(
            leaf=any_leaf(),
            in_range=in_range,
            free=self._free(holds=True),
            cols_a=names(self.columns, of="a"),
            cols=names(self.columns),
            table=identifier(self.table.name),
        )
        return Walk(
            id=f"{step_id}/undo",
            leg=self.leg,
            database=self.database,
            title=f"bring the deleted rows of {self.table.name} back",
            locks=lock(self.relation, "ROW EXCLUSIVE"),
            relation=Relation(schema_name="crossfade", name=self.stored),
            batch=per_leaf(batch),
            pending=sql.SQL("SELECT pg_catalog.count(*) FROM {} AS a WHERE {}")
            .format(self.sql, self._free())
            .as_string(None),
            pending_rows=per_leaf(
                sql.SQL("SELECT a.ctid::text FROM {} AS a WHERE {} AND {}").format(any_leaf(), in_range, self._free())
            ),
            silent=self.silent,
            unknown=sql.SQL("SELECT pg_catalog.count(*) FROM {}").format(self.sql).as_string(None),
        )

    def _free(self, *, holds: bool = False) -> sql.Composable:
        """No row bears its key by now, or what else only one may bear, and its parents are there; holds: kept there."""
        types = {column.name: column.type for column in self.table.columns}
        rules = [index.columns for index in self.table.indexes if index.unique and index.predicate is None]
        questions: list[sql.Composable] = [
            sql.SQL("NOT EXISTS (SELECT FROM {} AS t WHERE {})").format(
                identifier(self.table.name), same_key(rule, types, "t", "a")
            )
            for rule in dict.fromkeys([self.table.key, *rules])
            if rule and "" not in rule
        ]
        for key in self.parents:
            there = sql.SQL("(pg_catalog.num_nulls({}) > 0 OR {}EXISTS (SELECT FROM {} AS p WHERE {}{}))")
            itself = sql.SQL("{} OR ").format(refers(key, types, "a", "a"))
            questions.append(
                there.format(
                    names(key.columns, of="a"),
                    itself if key.child == key.parent else sql.SQL(""),
                    identifier(key.parent),
                    refers(key, types, "a", "p"),
                    sql.SQL(" FOR KEY SHARE SKIP LOCKED" if holds else ""),
                )
            )
        return sql.SQL(" AND ").join(questions) if questions else sql.SQL("true")


def noted(
    migration: str, relation: str, stored: str, columns: Sequence[str], leg: Leg, keep: timedelta
) -> sql.Composable:
    """The ledger's note of a table in the schema crossfade that keeps values of the relation; a purge finds it."""
    return sql.SQL(
        "INSERT INTO crossfade.archive (migration, relation, stored_in, columns, leg, keep_until)"
        " VALUES ({}, {}, {}, {}, {}, crossfade.clock() + {})"
    ).format(*map(sql.Literal, (migration, relation, stored, list(columns), str(leg), keep)))


def forgotten(stored: str) -> tuple[sql.Composable, sql.Composable]:
    """The table goes, and the note."""
    return (
        sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier("crossfade", stored)),
        sql.SQL("DELETE FROM crossfade.archive WHERE stored_in = {}").format(sql.Literal(stored)),
    )


def refers(key: ForeignKey, types: dict[str, str], child: str, parent: str) -> sql.Composable:
    """The row `child` points at the row `parent`; types: of the child's columns or of the parent's, by the child's."""
    return sql.SQL(" AND ").join(
        equal(types[here], sql.Identifier(parent, there), sql.Identifier(child, here))
        for here, there in zip(key.columns, key.referenced_columns, strict=True)
    )
