"""What carries a row of the table that is written to its twin, in PL/pgSQL.

The row is read as it is when the function runs, so that carrying twice does no harm. Its like in the twin is locked,
and never waited for in a queue: who holds it may be waiting for us (a foreign key's action reaches both tables). It is
asked for again and again for a second, and then the write stands alone and is noted by its key. So is what the twin
refuses: no statement fails for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import LiteralString

from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps.compose import is_row, names, record, text
from crossfade.steps.conflicts import BEHIND, HELD, resolved
from crossfade.steps.kept import (
    SERVER,
    SHORT,
    classes,
    key_arguments,
    key_json,
    keyed_function,
    no_keyed_function,
    no_trigger_function,
    none_noted,
    pause,
    settled_in_order,
    tried_at_commit,
    tries,
    trigger_function,
)
from crossfade.steps.twin.tables import Moment, Twin

# Each with the types of its arguments behind the key.
_KEYED: dict[str, tuple[LiteralString, ...]] = {"carry": ("boolean",), "write": ("boolean",), "settle": ()}
_OF_TRIGGERS = ("written", "emptied", "at_commit")


def function_names(twin: Twin) -> list[str]:
    return [twin.own(purpose) for purpose in (*_OF_TRIGGERS, *_KEYED)]


def functions(twin: Twin, moment: Moment) -> Iterator[sql.Composable]:
    """Statements that install or replace them, and what they note in."""
    yield _table_of_notes(twin)
    yield _write(twin, moment)
    yield _carry(twin, moment)
    yield _settle(twin, moment)
    yield from trigger_function(twin, "written", _written(twin))
    yield from trigger_function(twin, "emptied", _emptied(twin, moment))
    again = sql.SQL("  PERFORM {}({});\n  RETURN NULL;").format(twin.function("settle"), names(twin.note_key, of="new"))
    yield from trigger_function(twin, "at_commit", again)
    held = sql.SQL("new.sqlstate = {}").format(sql.Literal(HELD))
    yield from tried_at_commit(twin, twin.notes, held)


def no_functions(twin: Twin) -> Iterator[sql.Composable]:
    yield sql.SQL("DROP TABLE IF EXISTS {}").format(twin.notes)
    for purpose in _OF_TRIGGERS:
        yield no_trigger_function(twin, purpose)
    for purpose, more in _KEYED.items():
        yield no_keyed_function(twin, twin.function(purpose), more)


def note(twin: Twin, rows: sql.Composable) -> sql.Composable:
    """A query that notes rows, of alias `t` in `rows`, that could not be carried: SQLSTATE $3."""
    return sql.SQL(
        "WITH noted AS (INSERT INTO {} (sqlstate, {}) SELECT $3, {} FROM {} RETURNING *)"
        " SELECT crossfade.note_conflict({}, {}, {}, $3) FROM noted"
    ).format(
        twin.notes,
        names(twin.note_key),
        names(twin.key, of="t"),
        rows,
        sql.Literal(twin.migration),
        sql.Literal(str(twin.table)),
        _json_of_note(twin, "noted"),
    )


def settle(twin: Twin) -> tuple[str, ...]:
    """Statements that carry what was noted where both rows are free now; what is carried counts no more."""
    return text(
        _carried(twin),
        resolved(
            twin.migration,
            str(twin.table),
            sql.SQL("key NOT IN (SELECT {} FROM {} AS b)").format(_json_of_note(twin, "b"), twin.notes),
        ),
    )


def all_carried(twin: Twin) -> tuple[str, ...]:
    """Statements of a turn: what is noted is carried, or the turn is tried again."""
    return text(_carried(twin), none_noted(twin, twin.notes))


def _carried(twin: Twin) -> sql.Composable:
    return settled_in_order(twin, twin.notes, twin.note_key, among=sql.SQL("true"))


def _json_of_note(twin: Twin, alias: str) -> sql.Composable:
    return key_json(twin.key, [sql.Identifier(alias, name) for name in twin.note_key])


def _table_of_notes(twin: Twin) -> sql.Composable:
    columns = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(name), trusted(type_))
        for name, type_ in zip(twin.note_key, twin.key_types, strict=True)
    )
    return sql.SQL(
        "CREATE TABLE IF NOT EXISTS {} (id bigint GENERATED ALWAYS AS IDENTITY, {}, sqlstate text NOT NULL,"
        " PRIMARY KEY ({}, id))"
    ).format(twin.notes, columns, names(twin.note_key))


def _parts(twin: Twin, moment: Moment) -> dict[str, sql.Composable]:
    key = key_arguments(twin)
    return {
        "source": twin.source,
        "target": twin.target(moment),
        "notes": twin.notes,
        "s": is_row(twin.key, twin.key_types, "s", key),
        "t": is_row(twin.key, twin.key_types, "t", key),
        "b": is_row(twin.note_key, twin.key_types, "b", key),
        "key": sql.SQL(", ").join(key),
        "note_key": names(twin.note_key),
        "write": twin.function("write"),
        "held": sql.Literal(HELD),
        "server": classes(SERVER),
        "migration": sql.Literal(twin.migration),
        "relation": sql.Literal(str(twin.table)),
        "json": key_json(twin.key, key),
    }


def _write(twin: Twin, moment: Moment) -> sql.Composable:
    """Bring the row of the key, which is locked where there is one, in line; gives a failure or NULL."""
    values = sql.SQL(", ").join(sql.SQL("{c} = s.{c}").format(c=sql.Identifier(name)) for name in twin.settable)
    update = sql.SQL("UPDATE {target} AS t SET {values} FROM {source} AS s WHERE {s} AND {t} AND {differ};").format(
        **_parts(twin, moment), values=values, differ=twin.differ("s", "t")
    )
    body = sql.SQL(
        """
BEGIN
  IF NOT other THEN
    INSERT INTO {target} ({columns}) OVERRIDING SYSTEM VALUE SELECT {values} FROM {source} AS s WHERE {s};
    IF NOT FOUND AND pg_catalog.current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
      RETURN {behind};  -- what was deleted may have a like that came since the transaction began
    END IF;
  ELSIF EXISTS (SELECT FROM {source} AS s WHERE {s}) THEN
    {update}
  ELSE
    DELETE FROM {target} AS t WHERE {t};
  END IF;
  RETURN NULL;
END
"""
    ).format(
        **_parts(twin, moment),
        behind=sql.Literal(BEHIND),
        update=update if twin.settable else sql.SQL("NULL;  -- its key is all there is of it"),
        columns=names(twin.names),
        values=names(twin.names, of="s"),
    )
    return keyed_function(twin, twin.function("write"), ("other boolean",), "text", body, SHORT, twin.search_path)


def _carry(twin: Twin, moment: Moment) -> sql.Composable:
    body = sql.SQL(
        """
-- fresh: the row was inserted, and has none like it in {shown} yet.
DECLARE
  other boolean := false;
  failed text := {held};
BEGIN
  BEGIN
    FOR attempt IN 0 .. greatest({tries}, 0) LOOP
      IF attempt > 0 THEN {pause} END IF;
      IF attempt > 0 OR NOT fresh THEN
        IF EXISTS (SELECT FROM {source} AS s WHERE {s}) THEN
          PERFORM FROM {target} AS t WHERE {t} FOR NO KEY UPDATE SKIP LOCKED;
        ELSE
          PERFORM FROM {target} AS t WHERE {t} FOR UPDATE SKIP LOCKED;
        END IF;
        other := FOUND;
        CONTINUE WHEN NOT other AND EXISTS (SELECT FROM {target} AS t WHERE {t});
      END IF;
      failed := {write}({key}, other);
      EXIT;
    END LOOP;
  EXCEPTION WHEN others THEN
    IF pg_catalog.left(SQLSTATE, 2) IN {server} THEN RAISE; END IF;
    failed := SQLSTATE;
  END;
  IF failed IS NOT NULL THEN
    INSERT INTO {notes} (sqlstate, {note_key}) VALUES (failed, {key});
    PERFORM crossfade.note_conflict({migration}, {relation}, {json}, failed);
  END IF;
END
"""
    ).format(
        **_parts(twin, moment),
        shown=trusted(str(twin.other(moment)).replace("$", "")),
        tries=tries(),
        pause=pause(),
    )
    return keyed_function(twin, twin.function("carry"), ("fresh boolean",), "void", body)


def _settle(twin: Twin, moment: Moment) -> sql.Composable:
    """Carry what was noted of a key; nothing while a row is held."""
    body = sql.SQL(
        """
DECLARE
  other boolean;
  failed text;
BEGIN
  PERFORM FROM {source} AS s WHERE {s} FOR NO KEY UPDATE SKIP LOCKED;
  IF NOT FOUND AND EXISTS (SELECT FROM {source} AS s WHERE {s}) THEN RETURN; END IF;
  PERFORM FROM {target} AS t WHERE {t} FOR UPDATE SKIP LOCKED;
  other := FOUND;
  IF NOT other AND EXISTS (SELECT FROM {target} AS t WHERE {t}) THEN RETURN; END IF;
  failed := {write}({key}, other);
  IF failed IS NOT NULL THEN RETURN; END IF;
  DELETE FROM {notes} AS b WHERE {b};
  PERFORM crossfade.resolve_conflict({migration}, {relation}, {json});
EXCEPTION WHEN others THEN
  IF pg_catalog.left(SQLSTATE, 2) IN {server} THEN RAISE; END IF;
  RETURN;  -- refused again, or a table is locked as a whole: it stays noted
END
"""
    ).format(**_parts(twin, moment))
    return keyed_function(twin, twin.function("settle"), (), "void", body)


def _written(twin: Twin) -> sql.Composable:
    carry = twin.function("carry")
    return sql.SQL(
        """  IF TG_OP = 'INSERT' THEN
    PERFORM {carry}({new}, true);
  ELSE
    IF TG_OP = 'DELETE' OR {moved} THEN PERFORM {carry}({old}, false); END IF;
    IF TG_OP = 'UPDATE' THEN PERFORM {carry}({new}, false); END IF;
  END IF;
  RETURN NULL;"""
    ).format(
        carry=carry,
        new=names(twin.key, of="new"),
        old=names(twin.key, of="old"),
        moved=sql.SQL("{} *<> {}").format(record(twin.key, "new"), record(twin.key, "old")),
    )


def _emptied(twin: Twin, moment: Moment) -> sql.Composable:
    """Whoever may empty a table that is referenced has emptied those that refer to it."""
    referring = sql.SQL(" CASCADE" if twin.referenced and moment == "side by side" else "")
    return sql.SQL("  TRUNCATE {}{};\n  DELETE FROM {};\n  RETURN NULL;").format(
        twin.target(moment), referring, twin.notes
    )
