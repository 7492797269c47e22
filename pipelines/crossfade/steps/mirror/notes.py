"""What a mirror has still to carry: noted by key, and carried as soon as both rows are free."""

from __future__ import annotations

from collections.abc import Iterator

from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps.compose import Values, names, text
from crossfade.steps.conflicts import again, noted_given, passing, resolved
from crossfade.steps.kept import (
    key_arguments,
    key_json,
    keyed_function,
    none_noted,
    settled_in_order,
    trigger_function,
)
from crossfade.steps.mirror.tables import Half, Mirror, Way
from crossfade.steps.step import Again


def settle(mirror: Mirror) -> tuple[str | Again, ...]:
    """What carries what was noted where both rows are free now; what is carried counts no more."""
    key: Values = [sql.Identifier("b", name) for name in mirror.notes.key]
    gone = (
        resolved(
            mirror.migration,
            mirror.listed(half),
            sql.SQL("key NOT IN (SELECT {} FROM {} AS b)").format(key_json(half.key, key), mirror.notes.sql),
        )
        for half in (mirror.left, mirror.right)
    )
    return again(mirror.notes.sql, _carried(mirror, among=noted_given())), *text(*gone)


def all_carried(mirror: Mirror) -> tuple[str, ...]:
    """Statements of a turn: what is noted is carried, or the turn is tried again."""
    return text(_all_carried(mirror), none_noted(mirror, mirror.notes.sql))


def none_held(mirror: Mirror) -> tuple[str, ...]:
    """The same, where rows in conflict may be left."""
    held = sql.SQL("(SELECT b.sqlstate FROM {} AS b WHERE b.sqlstate IN ({}))").format(mirror.notes.sql, passing())
    return text(_all_carried(mirror), none_noted(mirror, held))


def _all_carried(mirror: Mirror) -> sql.Composable:
    return _carried(mirror, among=sql.SQL("true"))


def _carried(mirror: Mirror, *, among: sql.Composable) -> sql.Composable:
    nothing_more = sql.SQL("'{}'::text[]")
    return settled_in_order(mirror, mirror.notes.sql, mirror.notes.key, nothing_more, among=among)


def note(mirror: Mirror, half: Half, rows: sql.Composable) -> sql.Composable:
    """A query that notes rows of one of the tables, of alias `t` in `rows`, that could not be mapped: SQLSTATE $3."""
    key: Values = [sql.Identifier("noted", name) for name in mirror.notes.key]
    return sql.SQL(
        "WITH noted AS (INSERT INTO {} (side, told, fresh, sqlstate, {}) SELECT 'left', {}, false, $3, {} FROM {}"
        " RETURNING *) SELECT crossfade.note_conflict({}, {}, {}, $3) FROM noted"
    ).format(
        mirror.notes.sql,
        names(mirror.notes.key),
        all_columns(mirror),
        names(half.key, of="t"),
        rows,
        sql.Literal(mirror.migration),
        sql.Literal(mirror.listed(mirror.left)),
        key_json(mirror.left.key, key),
    )


def table(mirror: Mirror) -> sql.Composable:
    """side: where it was written. told: the columns, by their right names. fresh: a client may yet carry it itself."""
    columns = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(name), trusted(type_))
        for name, type_ in zip(mirror.notes.key, mirror.key_types, strict=True)
    )
    return sql.SQL(
        "CREATE TABLE IF NOT EXISTS {} (id bigint GENERATED ALWAYS AS IDENTITY, {}, side text NOT NULL,"
        " told text[] NOT NULL, fresh boolean NOT NULL, sqlstate text NOT NULL, PRIMARY KEY ({}, id))"
    ).format(mirror.notes.sql, columns, names(mirror.notes.key))


def all_columns(mirror: Mirror) -> sql.Composable:
    return sql.SQL("CAST({} AS text[])").format(sql.Literal(list(mirror.right.columns)))


def functions(mirror: Mirror) -> Iterator[sql.Composable]:
    yield _settle(mirror)
    again = sql.SQL("  PERFORM {}({}, '{{}}'::text[]);\n  RETURN NULL;").format(
        mirror.function("settle"), names(mirror.notes.key, of="new")
    )
    yield from trigger_function(mirror, "at_commit", again)


def _settle(mirror: Mirror) -> sql.Composable:
    """Carry what was noted of a key, each column from where it was written last; nothing while a row is held."""
    key = key_arguments(mirror)
    way = Way(mirror, "left")
    right = sql.SQL("  IF rights IS NOT NULL THEN PERFORM {}({}, rights, false); END IF;\n").format(
        mirror.function("carry_right"), sql.SQL(", ").join(key)
    )
    body = sql.SQL(
        """
DECLARE
  lefts text[];
  rights text[];
  other boolean;
BEGIN
  PERFORM FROM {left} AS t WHERE {l} FOR NO KEY UPDATE SKIP LOCKED;
  IF NOT FOUND AND EXISTS (SELECT FROM {left} AS t WHERE {l}) THEN RETURN; END IF;
  PERFORM FROM {right} AS t WHERE {r} FOR NO KEY UPDATE SKIP LOCKED;
  other := FOUND;
  IF NOT other AND EXISTS (SELECT FROM {right} AS t WHERE {r}) THEN RETURN; END IF;
  SELECT pg_catalog.array_agg(newest.c) FILTER (WHERE newest.side = 'left'),
         pg_catalog.array_agg(newest.c) FILTER (WHERE newest.side = 'right') INTO lefts, rights
    FROM (SELECT DISTINCT ON (c) c, b.side FROM {behind} AS b CROSS JOIN LATERAL pg_catalog.unnest(b.told) AS told (c)
           WHERE {b} AND c <> ALL (done) ORDER BY c, b.id DESC) AS newest;
  DELETE FROM {behind} AS b WHERE {b};
{rights}  IF other OR lefts IS NOT NULL THEN
    PERFORM {carry_left}({key}, coalesce(lefts, '{{}}'::text[]), false);
  END IF;
  IF NOT EXISTS (SELECT FROM {behind} AS b WHERE {b}) THEN
{resolved}
  END IF;
EXCEPTION WHEN lock_not_available THEN
  RETURN;  -- a table is locked as a whole: they stay noted
END
"""
    ).format(
        left=mirror.left.sql,
        right=mirror.right.sql,
        l=way.is_row(mirror.left, "t", key),
        r=way.is_row(mirror.right, "t", key),
        b=way.is_row(mirror.notes, "b", key),
        behind=mirror.notes.sql,
        rights=right,
        carry_left=mirror.function("carry_left"),
        key=sql.SQL(", ").join(key),
        resolved=sql.SQL("\n").join(
            sql.SQL("    PERFORM crossfade.resolve_conflict({}, {}, {});").format(
                sql.Literal(mirror.migration), sql.Literal(mirror.listed(half)), key_json(half.key, key)
            )
            for half in (mirror.left, mirror.right)
        ),
    )
    return keyed_function(mirror, mirror.function("settle"), ("done text[]",), "void", body)
