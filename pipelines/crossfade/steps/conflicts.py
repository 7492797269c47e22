"""Notes of rows in conflict, counted, and taken back by the engine, many at once."""

from __future__ import annotations

from crossfade.composing import sql
from crossfade.steps.step import Again

# What passes by itself: a row was locked by somebody while its like was written, or not to be seen yet by who wrote it.
HELD = "55P03"
BEHIND = "40001"
# Of crossfade's own among the conflicts, which PostgreSQL gives to nothing.
BOTH_WRITTEN = "CF001"
ENDLESS = "CF003"
NOT_FILLED = "23CF2"  # of the class of broken foreign keys, which it is one kind of

# What a check says of them.
IN_CONFLICT: str = "rows in conflict"
STILL_HELD: str = "rows whose like in another table somebody holds"


def passing() -> sql.Composable:
    """The codes of what passes by itself, as a list."""
    return sql.SQL(", ").join(map(sql.Literal, (HELD, BEHIND)))


def open_conflicts(migration: str, relation: str, asked: str = "id") -> sql.Composable:
    """A query for what is asked of the table's notes that count, their ids as a rule; more conditions may follow."""
    return sql.SQL(
        "SELECT {} FROM crossfade.conflict WHERE migration = {} AND relation = {} AND resolved_at IS NULL"
    ).format(sql.Identifier(asked), sql.Literal(migration), sql.Literal(relation))


def resolved(migration: str, relation: str, *which: sql.Composable) -> sql.Composable:
    """Open conflicts of the table count no more, those of `which` only when given.

    One that a transaction of an application is writing stays open: to wait for it, with others locked already, would
    hold up the runner and every application that writes one of those.
    """
    chosen = sql.SQL(" AND ").join([open_conflicts(migration, relation), *which])
    return sql.SQL(
        "UPDATE crossfade.conflict SET resolved_at = crossfade.clock() WHERE id = ANY ("
        "ARRAY({} ORDER BY id FOR NO KEY UPDATE SKIP LOCKED))"
    ).format(chosen)


def again(notes: sql.Composable, carried: sql.Composable) -> Again:
    """What is noted in the table is carried, a few notes at a time. carried: a statement over those given."""
    return Again(
        find=sql.SQL("SELECT id::text FROM {} ORDER BY id").format(notes).as_string(None), each=carried.as_string(None)
    )


def noted_given() -> sql.Composable:
    """Of a row of the table of notes: it is among those given."""
    return sql.SQL("id = ANY (CAST($1::text[] AS bigint[]))")


def counted(notes: sql.Composable) -> sql.Composable:
    """What a check selects of notes, which have an `sqlstate`: how many are in conflict, and how many are held.

    notes: a table of them, or a query in parentheses.
    """
    one = sql.SQL("(SELECT pg_catalog.count(*) FROM {} AS n WHERE n.sqlstate {} ({})) AS {}")
    return sql.SQL(", ").join(
        one.format(notes, asked, passing(), sql.Identifier(words))
        for asked, words in ((sql.SQL("NOT IN"), IN_CONFLICT), (sql.SQL("IN"), STILL_HELD))
    )
