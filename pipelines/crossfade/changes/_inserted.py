"""Rows that a change inserts, kept so that undo finds just those."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from crossfade.catalog.model import Table
from crossfade.changes._children import has_children, types_of
from crossfade.changes._context import Context
from crossfade.changes._silence import is_silent
from crossfade.composing import sql
from crossfade.spec.fragment import Expression
from crossfade.steps.aside import forgotten, noted
from crossfade.steps.compose import (
    any_leaf,
    identifier,
    in_batch,
    key_text,
    lock,
    names,
    ours,
    per_leaf,
    relation,
    same_key,
    text,
)
from crossfade.steps.names import own_name
from crossfade.steps.step import BACKFILL, AnyStep, Ddl, Relation, Walk

_UNDO = "delete what was inserted, but rows that were changed since or at which others point"


class Inserted:
    """What one change inserts into a table. keeps_existing: rows stay out where a unique rule finds another one."""

    def __init__(self, context: Context, table: Table, silent: bool, keeps_existing: bool) -> None:
        self._context = context
        self._table = table
        self._silent = silent
        self._once = sql.SQL(" ON CONFLICT DO NOTHING" if keeps_existing else "")
        self._id = f"{table.name}/insert/{context.index}"
        self._stored = own_name(context.migration, "inserted", str(context.index), str(table.name))
        self._used = own_name(context.migration, "used", str(context.index), str(table.name))
        self._columns = tuple(column.name for column in table.columns)

    def at_once(self, rows: Sequence[tuple[tuple[str, ...], sql.Composable]]) -> tuple[AnyStep, ...]:
        target = identifier(self._table.name)
        statements = [
            self._kept(
                sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({}){}").format(
                    target, names(columns), values, self._once
                )
                if columns
                else sql.SQL("INSERT INTO {} DEFAULT VALUES{}").format(target, self._once)
            )
            for columns, values in rows
        ]
        quiet = sql.SQL("SELECT pg_catalog.set_config('session_replication_role', 'replica', true)")
        return (
            self._make_room(None),
            Ddl(
                id=self._id,
                leg=BACKFILL,
                database=self._context.database,
                title=f"insert {len(rows)} rows into {self._table.name}",
                locks=lock(relation(self._table.name), "ROW EXCLUSIVE"),
                statements=text(*([quiet] if self._silent else []), *statements),
                undo=(self._take_back(),),
                undo_title=_UNDO,
            ),
        )

    def by_and_by(
        self, source: Table, each: Expression | None, values: Mapping[str, Expression], where: Expression | None
    ) -> tuple[AnyStep, ...]:
        bare = source.name.name
        used = sql.Identifier("crossfade", self._used)
        matches = where.render(bare, "s") if where is not None else sql.SQL("true")
        unused = sql.SQL("NOT EXISTS (SELECT FROM {} AS a WHERE {})").format(
            used, same_key(source.key, types_of(source), "a", "s")
        )
        in_range = in_batch("s")
        # A row counts as used whatever it gave, so that one whose set is empty is not asked again and again. Where the
        # element is asked in `where`, that comes after it.
        chosen = unused if each is not None else sql.SQL("{} AND {}").format(matches, unused)
        elements: sql.Composable = sql.SQL("batch")
        if each is not None:
            elements = sql.SQL("(SELECT s.*, l.each FROM batch AS s, LATERAL (SELECT {} AS each) AS l)").format(
                each.render(bare, "s")
            )
        batch = sql.SQL(
            """
WITH batch AS MATERIALIZED (SELECT s.* FROM {leaf} AS s WHERE {in_range} AND {chosen}),
made AS (
  INSERT INTO {table} ({named}) OVERRIDING SYSTEM VALUE SELECT {values} FROM {elements} AS s WHERE {matches}{once}
  RETURNING {columns}),
kept AS (INSERT INTO {stored} ({columns}) SELECT {columns} FROM made)
INSERT INTO {used} ({key}) SELECT {key} FROM batch"""
        ).format(
            leaf=any_leaf(),
            in_range=in_range,
            chosen=chosen,
            table=identifier(self._table.name),
            named=names(values),
            values=sql.SQL(", ").join(value.render(bare, "s") for value in values.values()),
            elements=elements,
            matches=matches,
            once=self._once,
            stored=sql.Identifier("crossfade", self._stored),
            columns=names(self._columns),
            used=used,
            key=names(source.key),
        )
        walk = Walk(
            id=self._id,
            leg=BACKFILL,
            database=self._context.database,
            title=f"insert rows into {self._table.name}, made from those of {source.name}",
            locks=(
                *lock(relation(source.name), "ACCESS SHARE"),
                *lock(relation(self._table.name), "ROW EXCLUSIVE"),
            ),
            relation=relation(source.name),
            batch=per_leaf(batch),
            pending=sql.SQL("SELECT pg_catalog.count(*) FROM {} AS s WHERE {}")
            .format(identifier(source.name), chosen)
            .as_string(None),
            due=sql.SQL("SELECT {} FROM {} AS s WHERE {}")
            .format(key_text(source.key, "s"), identifier(source.name), chosen)
            .as_string(None),
            pending_rows=per_leaf(
                sql.SQL("SELECT s.ctid::text FROM {} AS s WHERE {} AND {}").format(any_leaf(), in_range, chosen)
            ),
            silent=self._silent,
            undo=(self._take_back(),),
            undo_title=_UNDO,
        )
        return (self._make_room(source), walk)

    def _kept(self, insert: sql.Composable) -> sql.Composable:
        return sql.SQL("WITH made AS ({} RETURNING {cols}) INSERT INTO {} ({cols}) SELECT {cols} FROM made").format(
            insert, sql.Identifier("crossfade", self._stored), cols=names(self._columns)
        )

    def _make_room(self, source: Table | None) -> Ddl:
        context, keep = self._context, self._context.head.contract.keep
        empty = sql.SQL("CREATE TABLE {} AS SELECT {} FROM {} WITH NO DATA")
        shown = str(self._table.name)
        statements = [
            empty.format(sql.Identifier("crossfade", self._stored), names(self._columns), identifier(self._table.name)),
            noted(context.migration, shown, self._stored, self._columns, BACKFILL, keep),
        ]
        if source is not None:
            used = sql.Identifier("crossfade", self._used)
            statements += [
                empty.format(used, names(source.key), identifier(source.name)),
                sql.SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(used, names(source.key)),
                noted(context.migration, str(source.name), self._used, source.key, BACKFILL, keep),
            ]
        gone = [*forgotten(self._stored), *(forgotten(self._used) if source is not None else ())]
        return Ddl(
            id=f"{self._id}/keep",
            leg=BACKFILL,
            database=context.database,
            title=f"make room for what is inserted into {self._table.name}",
            statements=text(*statements),
            undo=(
                Ddl(
                    id=f"{self._id}/keep/undo",
                    leg=BACKFILL,
                    database=context.database,
                    title=f"forget what was inserted into {self._table.name}",
                    statements=text(*gone),
                ),
            ),
            undo_title="forget it",
        )

    def _take_back(self) -> Walk:
        """Rows that are as they were inserted, and at which none points."""
        context, table = self._context, self._table
        stored = sql.Identifier("crossfade", self._stored)
        target = identifier(table.name)
        in_range = in_batch("a")
        untouched = sql.SQL("{} AND ROW({})::record *= ROW({})::record AND NOT {}").format(
            same_key(table.key, types_of(table), "t", "a"),
            names(self._columns, of="t"),
            names(self._columns, of="a"),
            has_children(context.catalog, context.catalog.references_to(table.name), "t"),
        )
        locked = sql.SQL("SELECT FROM {} AS a, {} AS t WHERE {} AND {} FOR UPDATE OF t SKIP LOCKED")
        return Walk(
            id=f"{self._id}/undo",
            leg=BACKFILL,
            database=context.database,
            title=f"delete what was inserted into {table.name}",
            locks=lock(relation(table.name), "ROW EXCLUSIVE"),
            relation=Relation(schema_name="crossfade", name=self._stored),
            first=(per_leaf(locked.format(any_leaf(), target, in_range, untouched)),),
            batch=per_leaf(
                sql.SQL("DELETE FROM {} AS t USING {} AS a WHERE {} AND {} AND {}").format(
                    target, any_leaf(), in_range, ours("t"), untouched
                )
            ),
            pending=sql.SQL("SELECT pg_catalog.count(*) FROM {} AS a, {} AS t WHERE {}")
            .format(stored, target, untouched)
            .as_string(None),
            pending_rows=per_leaf(
                sql.SQL("SELECT a.ctid::text FROM {} AS a, {} AS t WHERE {} AND {}").format(
                    any_leaf(), target, untouched, in_range
                )
            ),
            silent=is_silent(
                context.catalog,
                context.head,
                table.name,
                where=context.where,
                done="deleted by an undo",
                event="delete",
            ),
        )
