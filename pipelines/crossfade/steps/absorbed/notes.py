"""What has still to be carried: noted by the key of the like, and carried as soon as both rows are free."""

from __future__ import annotations

from collections.abc import Iterator

from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps.absorbed.tables import SIDES, Absorbed
from crossfade.steps.compose import equal, text
from crossfade.steps.conflicts import HELD, open_conflicts, resolved
from crossfade.steps.kept import keyed_function


def table(absorbed: Absorbed) -> Iterator[sql.Composable]:
    """side: where it was written. told: the columns, by their names in the kept table. fresh: a client may yet carry it
    itself.
    """
    yield sql.SQL(
        "CREATE TABLE {} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key {} NOT NULL, side text NOT NULL,"
        " told text[] NOT NULL, fresh boolean NOT NULL, sqlstate text NOT NULL)"
    ).format(absorbed.notes, trusted(absorbed.key.type))
    yield sql.SQL("CREATE INDEX ON {} (key)").format(absorbed.notes)


def table_trigger(absorbed: Absorbed) -> Iterator[sql.Composable]:
    """When who noted it commits, the other row may be free; or it is his own, and who held this one has let go."""
    again = sql.Identifier(absorbed.own("again"))
    yield sql.SQL(
        "CREATE CONSTRAINT TRIGGER {} AFTER INSERT ON {} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
        " WHEN (new.fresh AND new.sqlstate = {}) EXECUTE FUNCTION {}()"
    ).format(again, absorbed.notes, sql.Literal(HELD), absorbed.function("at_commit"))
    yield sql.SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}").format(absorbed.notes, again)


def settle(absorbed: Absorbed) -> tuple[str, ...]:
    """Statements that make likes which could not be made, and carry what was noted, where rows are free now."""
    unmade = sql.SQL("{} AS s WHERE s.{} IS FALSE").format(absorbed.rows, sql.Identifier(absorbed.made))
    make = sql.SQL("SELECT {}(s.key) FROM (SELECT s.{} AS key FROM {} FOR NO KEY UPDATE SKIP LOCKED) AS s").format(
        absorbed.function("make"), sql.Identifier(absorbed.link), unmade
    )
    again = sql.SQL("SELECT {}(b.key) FROM (SELECT DISTINCT key FROM {}) AS b").format(
        absorbed.function("settle"), absorbed.notes
    )
    still = sql.SQL("SELECT {} FROM {} UNION ALL SELECT {} FROM {} AS b").format(
        absorbed.row_json("s"), unmade, absorbed.note_json(sql.Identifier("b", "key")), absorbed.notes
    )
    return text(make, again, *(resolved(absorbed.migration, told, each) for told, each in _ours(absorbed, still)))


def let_be(absorbed: Absorbed) -> Iterator[sql.Composable]:
    """Statements by which no row counts as in conflict any more."""
    for told, ours in _ours(absorbed, None):
        yield resolved(absorbed.migration, told, ours)


def open_notes(absorbed: Absorbed) -> sql.Composable:
    """A query for the ids of conflicts that count."""
    return sql.SQL(" UNION ALL ").join(
        sql.SQL("{} AND {}").format(open_conflicts(absorbed.migration, told), ours)
        for told, ours in _ours(absorbed, None)
    )


def behind(absorbed: Absorbed) -> sql.Composable:
    """A query for the ids of conflicts without which the way back would lose something: what the kept table was written
    with and the other one has not got, and likes of rows that are gone.
    """
    link = sql.Literal(absorbed.link)
    key = sql.SQL("CAST(key ->> {} AS {})").format(link, trusted(absorbed.key.type))
    gone = sql.SQL("(relation = {} OR NOT EXISTS (SELECT FROM {} AS s WHERE {}))").format(
        sql.Literal(absorbed.told_of("right")), absorbed.rows, absorbed.is_row("s", key)
    )
    return sql.SQL(" UNION ALL ").join(
        sql.SQL("{} AND pg_catalog.jsonb_exists(key, {}) AND {}").format(
            open_conflicts(absorbed.migration, absorbed.told_of(side)), link, gone
        )
        for side in SIDES
    )


def _ours(absorbed: Absorbed, still: sql.Composable | None) -> Iterator[tuple[str, sql.Composable]]:
    """Whose conflicts are ours, of each table; of the kept one others may have some. still: but for these keys."""
    link = sql.SQL("pg_catalog.jsonb_exists(key, {})").format(sql.Literal(absorbed.link))
    gone = sql.SQL("true") if still is None else sql.SQL("key NOT IN ({})").format(still)
    yield absorbed.told_of("left"), gone
    yield absorbed.told_of("right"), sql.SQL("{} AND {}").format(link, gone)


def function(absorbed: Absorbed) -> sql.Composable:
    """Carry what was noted of a key, each column from where it was written last; nothing while a row is held."""
    key = absorbed.argument
    body = sql.SQL(
        """
DECLARE
  lefts text[];
  rights text[];
BEGIN
  PERFORM FROM {row} FOR NO KEY UPDATE SKIP LOCKED;
  IF NOT FOUND AND EXISTS (SELECT FROM {row}) THEN RETURN; END IF;
  PERFORM FROM {like} FOR NO KEY UPDATE SKIP LOCKED;
  IF NOT FOUND AND EXISTS (SELECT FROM {like}) THEN RETURN; END IF;
  SELECT pg_catalog.array_agg(newest.c) FILTER (WHERE newest.side = 'left'),
         pg_catalog.array_agg(newest.c) FILTER (WHERE newest.side = 'right') INTO lefts, rights
    FROM (SELECT DISTINCT ON (c) c, b.side FROM {notes} AS b CROSS JOIN LATERAL pg_catalog.unnest(b.told) AS told (c)
           WHERE {b} ORDER BY c, b.id DESC) AS newest;
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
