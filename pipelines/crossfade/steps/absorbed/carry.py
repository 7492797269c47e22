"""How a row is carried to the other table, in PL/pgSQL.

Whoever wrote a row has it locked. Its like is never waited for in a queue, since who holds that may be waiting for us:
it is asked for again and again for a second, then the write stands alone and is noted (docs/decisions/0014).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import LiteralString

from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps.absorbed.tables import SIDES, Absorbed, Side
from crossfade.steps.compose import equal, names, record
from crossfade.steps.conflicts import ENDLESS, HELD
from crossfade.steps.kept import SHORT, keyed_function, passing_on, pause, server_failures, tries
from crossfade.steps.plpgsql import quoted, settings_of


def functions(absorbed: Absorbed) -> Iterator[sql.Composable]:
    """`make`, and those that carry, for each direction."""
    yield _make(absorbed)
    for side in SIDES:
        yield _write(absorbed, side)
        yield _carry(absorbed, side)


def _make(absorbed: Absorbed) -> sql.Composable:
    """Make the like of a row that has none; whoever calls it has locked that row."""
    made, link = sql.Identifier(absorbed.made), sql.Identifier(absorbed.link)
    key = sql.SQL("now_key")
    about = sql.SQL("{}, {}, {}").format(
        sql.Literal(absorbed.migration), sql.Literal(str(absorbed.table.name)), absorbed.row_json("s")
    )
    body = sql.SQL(
        """
DECLARE
  now_key {type} := {argument};
  next_key {type};
  failed text;
BEGIN
  IF NOT EXISTS (SELECT FROM {rows} AS s WHERE {s} AND s.{made} IS NOT TRUE) THEN RETURN; END IF;
  BEGIN
    WHILE EXISTS (SELECT FROM {kept} AS t WHERE {t}) LOOP  -- somebody gave this key out by hand
      next_key := {draw};
      UPDATE {rows} AS s SET {link} = next_key WHERE {s};
      now_key := next_key;
    END LOOP;
    UPDATE {rows} AS s SET {made} = true WHERE {s};
    INSERT INTO {kept} ({id}, {filled}) OVERRIDING SYSTEM VALUE SELECT s.{link}, {written} FROM {rows} AS s WHERE {s};
    IF NOT FOUND THEN RAISE triggered_data_change_violation; END IF;
  EXCEPTION WHEN others THEN
    IF pg_catalog.left(SQLSTATE, 2) IN {server} THEN RAISE; END IF;
    failed := SQLSTATE;
    now_key := {argument};  -- as the row has it again
  END;
  IF failed IS NULL THEN
    PERFORM crossfade.resolve_conflict({about}) FROM {rows} AS s WHERE {s};
    -- What a trigger of the user's has made of a value is the row's too.
    IF EXISTS (SELECT FROM {rows} AS s JOIN {kept} AS t ON {is_like} WHERE {s} AND {differ}) THEN
      PERFORM {carry_right}(now_key, {all}, false);
    END IF;
  ELSE
    PERFORM crossfade.note_conflict({about}, failed) FROM {rows} AS s WHERE {s};
  END IF;
END
"""
    ).format(
        type=trusted(absorbed.key.type),
        argument=absorbed.argument,
        rows=absorbed.rows,
        kept=absorbed.kept_sql,
        s=absorbed.is_row("s", key),
        t=absorbed.has_key("t", key),
        made=made,
        link=link,
        draw=absorbed.drawn,
        id=sql.Identifier(absorbed.key.name),
        filled=names(absorbed.filled),
        written=absorbed.written("s"),
        server=server_failures(),
        about=about,
        is_like=absorbed.is_like("s", "t"),
        differ=absorbed.differ("s", "t"),
        carry_right=absorbed.function("carry_right"),
        all=absorbed.all_columns,
    )
    # The spec's SQL means in it what it means elsewhere.
    return sql.SQL("CREATE FUNCTION {}({} {}) RETURNS void LANGUAGE plpgsql {} {} AS {}").format(
        absorbed.function("make"),
        absorbed.argument,
        trusted(absorbed.key.type),
        settings_of(absorbed.search_path),
        sql.SQL(SHORT),
        quoted(body),
    )


def _carry(absorbed: Absorbed, side: Side) -> sql.Composable:
    """Find the other row and lock it, then bring it in line with the one that was written on this side."""
    key = absorbed.argument
    row, like = absorbed.found("left", key), absorbed.found("right", key)
    here, there = (row, like) if side == "left" else (like, row)
    body = sql.SQL(
        """
-- told: the columns, by their names in the kept table; none: the row was deleted. patient: called for who wrote it, so
-- that it is locked, or gone.
DECLARE
  here boolean;
  other boolean;
  held boolean := false;
  failed text := {held};
  passed text := {passed};
BEGIN
  IF patient AND EXISTS (SELECT FROM {notes} AS b WHERE {b}) THEN
    INSERT INTO {notes} (key, side, told, fresh, sqlstate) VALUES ({key}, {side}, told, true, {held});
    PERFORM {settle}({key});
    RETURN;
  END IF;
  BEGIN
    FOR attempt IN 0 .. CASE WHEN patient THEN greatest({tries}, 0) ELSE 0 END LOOP
      IF attempt > 0 THEN {pause} END IF;
      IF pg_catalog.cardinality(told) = 0 THEN
        here := false;
      ELSIF patient THEN
        here := EXISTS (SELECT FROM {source});
      ELSE
        PERFORM FROM {source} FOR NO KEY UPDATE SKIP LOCKED;
        here := FOUND;
        CONTINUE WHEN NOT here AND EXISTS (SELECT FROM {source});
      END IF;
      IF here THEN
        PERFORM FROM {target} FOR NO KEY UPDATE SKIP LOCKED;
      ELSE
        PERFORM FROM {target} FOR UPDATE SKIP LOCKED;
      END IF;
      other := FOUND;
      held := other OR NOT EXISTS (SELECT FROM {target});
      EXIT WHEN held;
    END LOOP;
    IF held AND {is_endless} THEN
      failed := {endless};
    ELSIF held THEN
      {begin}
      PERFORM {write}({key}, told, here, other);
      {end}
      failed := NULL;
    END IF;
  EXCEPTION WHEN others THEN
    IF pg_catalog.left(SQLSTATE, 2) IN {server} THEN RAISE; END IF;
    failed := SQLSTATE;
  END;
  IF failed IS NOT NULL THEN
    INSERT INTO {notes} (key, side, told, fresh, sqlstate) VALUES ({key}, {side}, told, patient, failed);
    PERFORM crossfade.note_conflict({migration}, {relation}, {json}, failed);
  END IF;
END
"""
    ).format(
        held=sql.Literal(HELD),
        notes=absorbed.notes,
        b=equal(absorbed.key.type, sql.SQL("b.key"), key),
        key=key,
        side=sql.Literal(side),
        settle=absorbed.function("settle"),
        tries=tries(),
        pause=pause(),
        source=here,
        target=there,
        write=absorbed.function(f"write_{side}"),
        endless=sql.Literal(ENDLESS),
        **passing_on(absorbed, key),
        server=server_failures(),
        migration=sql.Literal(absorbed.migration),
        relation=sql.Literal(absorbed.told_of(side)),
        json=absorbed.note_json(key),
    )
    more: tuple[LiteralString, ...] = ("told text[]", "patient boolean")
    return keyed_function(absorbed, absorbed.function(f"carry_{side}"), more, "void", body)


def _write(absorbed: Absorbed, side: Side) -> sql.Composable:
    """Bring the other row, which is locked, in line with the one of this side as it is now."""
    key = absorbed.argument
    body = sql.SQL("\nBEGIN\n{}\nEND\n").format(_to_like(absorbed, key) if side == "left" else _to_row(absorbed, key))
    more: tuple[LiteralString, ...] = ("told text[]", "here boolean", "other boolean")
    return keyed_function(absorbed, absorbed.function(f"write_{side}"), more, "void", body, SHORT, absorbed.search_path)


def _to_like(absorbed: Absorbed, key: sql.Composable) -> sql.Composable:
    """A row whose like is gone without a note lost it by a TRUNCATE of the kept table, which was not about it."""
    return sql.SQL(
        """      IF NOT here THEN
        DELETE FROM {kept} AS t WHERE {t};
      ELSIF other THEN
        UPDATE {kept} AS t SET {values} FROM {rows} AS s WHERE {s} AND {t} AND ({stale});
      ELSE
        UPDATE {rows} AS s SET {made} = false WHERE {s};
        PERFORM {make}({key});
      END IF;"""
    ).format(
        kept=absorbed.kept_sql,
        t=absorbed.has_key("t", key),
        values=_values((there, "t", here, "s", there) for there, here in absorbed.columns.items()),
        rows=absorbed.rows,
        s=absorbed.is_row("s", key),
        stale=_stale(absorbed),
        made=sql.Identifier(absorbed.made),
        make=absorbed.function("make"),
        key=key,
    )


def _to_row(absorbed: Absorbed, key: sql.Composable) -> sql.Composable:
    return sql.SQL(
        """      IF NOT here THEN
        DELETE FROM {rows} AS s WHERE {s};
      ELSE
        UPDATE {rows} AS s SET {values} FROM {kept} AS t WHERE {t} AND {s} AND ({stale});
      END IF;"""
    ).format(
        rows=absorbed.rows,
        s=absorbed.is_row("s", key),
        values=_values((here, "s", there, "t", there) for there, here in absorbed.columns.items()),
        kept=absorbed.kept_sql,
        t=absorbed.has_key("t", key),
        stale=_stale(absorbed),
    )


def _values(columns: Iterator[tuple[str, str, str, str, str]]) -> sql.Composable:
    """Each: the column written, of which row, the one it is taken from, of which row, and what notes call it."""
    return sql.SQL(", ").join(
        sql.SQL("{} = CASE WHEN {} = ANY (told) THEN {} ELSE {} END").format(
            sql.Identifier(there), sql.Literal(label), sql.Identifier(source, here), sql.Identifier(target, there)
        )
        for there, target, here, source, label in columns
    )


def _stale(absorbed: Absorbed) -> sql.Composable:
    """There is anything to write."""
    return sql.SQL(" OR ").join(
        sql.SQL("({} = ANY (told) AND {} *<> {})").format(
            sql.Literal(there), record((there,), "t"), record((here,), "s")
        )
        for there, here in absorbed.columns.items()
    )
