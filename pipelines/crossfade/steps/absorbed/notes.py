"""What has still to be carried: noted by the key of the like, and carried as soon as both rows are free."""

from __future__ import annotations

from collections.abc import Iterator

from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps.absorbed.tables import SIDES, Absorbed
from crossfade.steps.compose import equal, text
from crossfade.steps.conflicts import again, counted, noted_given, open_conflicts, resolved
from crossfade.steps.kept import keyed_function, none_noted, settled_in_order
from crossfade.steps.step import Again


def table(absorbed: Absorbed) -> Iterator[sql.Composable]:
    """side: where it was written. told: the columns, by their names in the kept table; none: the row was deleted.
    fresh: a client may yet carry it itself.
    """
    yield sql.SQL(
        "CREATE TABLE {} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key {} NOT NULL, side text NOT NULL,"
        " told text[] NOT NULL, fresh boolean NOT NULL, sqlstate text NOT NULL)"
    ).format(absorbed.notes, trusted(absorbed.key.type))
    yield sql.SQL("CREATE INDEX ON {} (key)").format(absorbed.notes)


def settle(absorbed: Absorbed) -> tuple[str | Again, ...]:
    """What makes likes that could not be made, and carries what was noted, where rows are free now."""
    link, made = sql.Identifier(absorbed.link), sql.Identifier(absorbed.made)
    unmade = sql.SQL("{} AS s WHERE s.{} IS FALSE").format(absorbed.rows, made)
    make = sql.SQL(
        "SELECT {make}(s.key) FROM (SELECT s.{link} AS key FROM {rows} AS s"
        " JOIN pg_catalog.unnest(CAST($1::text[] AS {type}[])) AS k (key) ON {same}"
        " WHERE s.{made} IS FALSE FOR NO KEY UPDATE OF s SKIP LOCKED) AS s"
    ).format(
        make=absorbed.function("make"),
        link=link,
        rows=absorbed.rows,
        type=trusted(absorbed.key.type),
        same=absorbed.is_row("s", sql.SQL("k.key")),
        made=made,
    )
    still = sql.SQL("SELECT {} FROM {} UNION ALL SELECT {} FROM {} AS b").format(
        absorbed.row_json("s"), unmade, absorbed.note_json(sql.Identifier("b", "key")), absorbed.notes
    )
    gone = sql.SQL("key NOT IN ({})").format(still)
    return (
        Again(
            find=sql.SQL("SELECT s.{}::text FROM {}").format(link, unmade).as_string(None), each=make.as_string(None)
        ),
        again(absorbed.notes, _carried(absorbed, among=noted_given())),
        *text(*(resolved(absorbed.migration, told, ours, gone) for told, ours in _ours(absorbed))),
    )


def all_carried(absorbed: Absorbed) -> tuple[str, ...]:
    """Statements of the step that hides the table: what is noted is carried, or it is tried again."""
    every = _carried(absorbed, among=sql.SQL("true"))
    return text(every, none_noted(absorbed, sql.SQL("({})").format(open_notes(absorbed, "sqlstate"))))


def _carried(absorbed: Absorbed, *, among: sql.Composable) -> sql.Composable:
    return settled_in_order(absorbed, absorbed.notes, ("key",), among=among)


def let_be(absorbed: Absorbed) -> Iterator[sql.Composable]:
    """Statements by which no row counts as in conflict any more."""
    for told, ours in _ours(absorbed):
        yield resolved(absorbed.migration, told, ours)


def open_notes(absorbed: Absorbed, asked: str = "id", *which: sql.Composable) -> sql.Composable:
    """A query for what is asked of conflicts that count, those of `which` only when given."""
    return sql.SQL(" UNION ALL ").join(
        sql.SQL(" AND ").join([open_conflicts(absorbed.migration, told, asked), ours, *which])
        for told, ours in _ours(absorbed)
    )


def is_noted(absorbed: Absorbed, row: str) -> sql.Composable:
    """A row of the table that goes is in conflict, or one side of it still to be carried."""
    # Not asked of each row anew: what is noted is read once, and looked up.
    noted = sql.SQL("{} IN ({})")
    keys = (absorbed.row_json(row), absorbed.note_json(sql.Identifier(row, absorbed.link)))
    return sql.SQL("({})").format(sql.SQL(" OR ").join(noted.format(key, open_notes(absorbed, "key")) for key in keys))


def behind(absorbed: Absorbed) -> sql.Composable:
    """What a check selects of conflicts without which the way back would lose something: what the kept table was
    written with and the other one has not got, and likes of rows that are gone.
    """
    key = sql.SQL("CAST(key ->> {}::text AS {})").format(sql.Literal(absorbed.link), trusted(absorbed.key.type))
    which = sql.SQL("{} AND (relation = {} OR NOT EXISTS (SELECT FROM {} AS s WHERE {}))").format(
        _by_like(absorbed), sql.Literal(absorbed.told_of("right")), absorbed.rows, absorbed.is_row("s", key)
    )
    return counted(sql.SQL("({})").format(open_notes(absorbed, "sqlstate", which)))


def _ours(absorbed: Absorbed) -> Iterator[tuple[str, sql.Composable]]:
    """Whose conflicts are ours, of each table; of the kept one others may have some."""
    yield absorbed.told_of("left"), sql.SQL("true")
    yield absorbed.told_of("right"), _by_like(absorbed)


def _by_like(absorbed: Absorbed) -> sql.Composable:
    """The conflict is of a row whose sides differ."""
    return sql.SQL("pg_catalog.jsonb_exists(key, {})").format(sql.Literal(absorbed.link))


def function(absorbed: Absorbed) -> sql.Composable:
    """Carry what was noted of a key, each column from where it was written last; nothing while a row is held.

    What was deleted stays so, whatever the other side has written since: there it would not have found the row.
    """
    key = absorbed.argument
    body = sql.SQL(
        """
DECLARE
  lefts text[];
  rights text[];
  gone text;
BEGIN
  PERFORM FROM {row} FOR NO KEY UPDATE SKIP LOCKED;
  IF NOT FOUND AND EXISTS (SELECT FROM {row}) THEN RETURN; END IF;
  PERFORM FROM {like} FOR NO KEY UPDATE SKIP LOCKED;
  IF NOT FOUND AND EXISTS (SELECT FROM {like}) THEN RETURN; END IF;
  SELECT pg_catalog.array_agg(newest.c) FILTER (WHERE newest.side = 'left'),
         pg_catalog.array_agg(newest.c) FILTER (WHERE newest.side = 'right') INTO lefts, rights
    FROM (SELECT DISTINCT ON (c) c, b.side FROM {notes} AS b CROSS JOIN LATERAL pg_catalog.unnest(b.told) AS told (c)
           WHERE {b} ORDER BY c, b.id DESC) AS newest;
  SELECT b.side INTO gone FROM {notes} AS b WHERE {b} AND pg_catalog.cardinality(b.told) = 0 ORDER BY b.side LIMIT 1;
  IF gone IS NOT NULL THEN
    lefts := CASE gone WHEN 'left' THEN '{{}}'::text[] END;
    rights := CASE gone WHEN 'right' THEN '{{}}'::text[] END;
  END IF;
  DELETE FROM {notes} AS b WHERE {b};
  IF rights IS NOT NULL THEN PERFORM {carry_right}({key}, rights, false); END IF;
  IF lefts IS NOT NULL THEN PERFORM {carry_left}({key}, lefts, false); END IF;
  IF NOT EXISTS (SELECT FROM {notes} AS b WHERE {b}) THEN
{resolved}
  END IF;
EXCEPTION WHEN lock_not_available THEN
  RETURN;  -- a table is locked as a whole: they stay noted
END
"""
    ).format(
        row=absorbed.found("left", key),
        like=absorbed.found("right", key),
        notes=absorbed.notes,
        b=equal(absorbed.key.type, sql.SQL("b.key"), key),
        carry_left=absorbed.function("carry_left"),
        carry_right=absorbed.function("carry_right"),
        key=key,
        resolved=sql.SQL("\n").join(
            sql.SQL("    PERFORM crossfade.resolve_conflict({}, {}, {});").format(
                sql.Literal(absorbed.migration), sql.Literal(absorbed.told_of(side)), absorbed.note_json(key)
            )
            for side in SIDES
        ),
    )
    return keyed_function(absorbed, absorbed.function("settle"), (), "void", body)
