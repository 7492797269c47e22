"""Notes of rows in conflict taken back by the engine, many at once."""

from __future__ import annotations

from crossfade.composing import sql

# Of crossfade's own among the conflicts, which PostgreSQL gives to nothing.
BOTH_WRITTEN = "CF001"
NOT_FILLED = "23CF2"  # of the class of broken foreign keys, which it is one kind of


def open_conflicts(migration: str, relation: str) -> sql.Composable:
    """A query for the ids of the table's notes that count; more conditions may follow."""
    return sql.SQL(
        "SELECT id FROM crossfade.conflict WHERE migration = {} AND relation = {} AND resolved_at IS NULL"
    ).format(sql.Literal(migration), sql.Literal(relation))


def resolved(migration: str, relation: str, *which: sql.Composable) -> sql.Composable:
    """Open conflicts of the table count no more, those of `which` only when given.

    One that a transaction of an application is writing stays open: to wait for it, with others locked already, would
    hold up the runner and every application that writes one of those.
    """
    chosen = sql.SQL(" AND ").join([open_conflicts(migration, relation), *which])
    return sql.SQL(
        "UPDATE crossfade.conflict SET resolved_at = pg_catalog.now() WHERE id = ANY ("
        "ARRAY({} ORDER BY id FOR NO KEY UPDATE SKIP LOCKED))"
    ).format(chosen)
