"""Carrying a row of a mirror to the other side, in SQL.

Both rows are locked, but the second one is never waited for in a queue: who holds it may be waiting for us. It is asked
for again and again for a second, and then the write stands alone and is noted.
"""

from __future__ import annotations

from collections.abc import Iterator

from crossfade.catalog.model import Column
from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps.compose import Values, names, record
from crossfade.steps.conflicts import HELD
from crossfade.steps.kept import SHORT, key_arguments, key_json, keyed_function, pause, server_failures, tries
from crossfade.steps.mirror.tables import OURS, PLACEHOLDER, Mirror, Way
from crossfade.steps.mirror.written import holds_something
from crossfade.steps.plpgsql import commented


def functions(mirror: Mirror) -> Iterator[sql.Composable]:
    """Those that carry, for each direction."""
    for way in (Way(mirror, "left"), Way(mirror, "right")):
        yield _write(way)
        yield _carry(way)


def _carry(way: Way) -> sql.Composable:
    """Find the other row and lock it, then bring it in line; gives whether there was one."""
    mirror, source, target = way.mirror, way.source, way.target
    key = key_arguments(mirror)
    body = sql.SQL(
        """
-- told: the columns, by their names in {right}. patient: called for who wrote the row, so that it is locked, or gone.
DECLARE
  there boolean;
  other boolean;
  held boolean := false;
  noted boolean := EXISTS (SELECT FROM {behind} AS b WHERE {b});
  failed text := {held};
BEGIN
  BEGIN
    FOR attempt IN 0 .. CASE WHEN patient THEN greatest({tries}, 0) ELSE 0 END LOOP
      IF attempt > 0 THEN {pause} END IF;
      IF patient THEN
        there := EXISTS (SELECT FROM {source} AS s WHERE {s});
      ELSE
        PERFORM FROM {source} AS s WHERE {s} FOR NO KEY UPDATE SKIP LOCKED;
        there := FOUND;
        CONTINUE WHEN NOT there AND EXISTS (SELECT FROM {source} AS s WHERE {s});
      END IF;
      IF there THEN
        PERFORM FROM {target} AS t WHERE {t} FOR NO KEY UPDATE SKIP LOCKED;
      ELSE
        PERFORM FROM {target} AS t WHERE {t} FOR UPDATE SKIP LOCKED;
      END IF;
      other := FOUND;
      held := other OR NOT EXISTS (SELECT FROM {target} AS t WHERE {t});
      EXIT WHEN held;
    END LOOP;
    IF held THEN failed := {write}({key}, told, there, other, noted); END IF;
  EXCEPTION WHEN others THEN
    IF pg_catalog.left(SQLSTATE, 2) IN {server} THEN RAISE; END IF;
    failed := SQLSTATE;
  END;
  IF failed <> {held} AND pg_catalog.cardinality(told) = 0 THEN
    RETURN false;  -- nothing was given, and nothing can be made of it: the writer makes the other row himself
  ELSIF failed IS NOT NULL THEN
    INSERT INTO {behind} (side, told, fresh, sqlstate, {key_names}) VALUES ({side}, told, patient, failed, {key});
    PERFORM crossfade.note_conflict({migration}, {relation}, {json}, failed);
  ELSIF noted AND patient THEN
    PERFORM {settle}({key}, told);
  END IF;
  RETURN coalesce(other, false);
END
"""
    ).format(
        right=trusted(commented(str(mirror.right.table))),
        behind=mirror.notes.sql,
        b=way.is_row(mirror.notes, "b", key),
        source=source.sql,
        s=way.is_row(source, "s", key),
        target=target.sql,
        t=way.is_row(target, "t", key),
        tries=tries(),
        pause=pause(),
        server=server_failures(),
        held=sql.Literal(HELD),
        write=_writer(way),
        key_names=names(mirror.notes.key),
        key=sql.SQL(", ").join(key),
        side=sql.Literal(way.side),
        migration=sql.Literal(mirror.migration),
        relation=sql.Literal(mirror.listed(source)),
        json=key_json(source.key, key),
        settle=mirror.function("settle"),
    )
    return keyed_function(mirror, way.function, ("told text[]", "patient boolean"), "boolean", body)


def _writer(way: Way) -> sql.Identifier:
    return way.mirror.function(f"write_{way.side}")


def _write(way: Way) -> sql.Composable:
    """Bring the other row, which is locked, in line with the one of the key as it is now; gives a failure or NULL."""
    body = sql.SQL(
        """
#variable_conflict use_variable
DECLARE
  gone text[];
BEGIN
{}
  RETURN NULL;
END
"""
    ).format(_act(way, key_arguments(way.mirror)))
    more = ("told text[]", "there boolean", "other boolean", "noted boolean")
    return keyed_function(way.mirror, _writer(way), more, "text", body, SHORT, way.mirror.search_path)


def _act(way: Way, key: Values) -> sql.Composable:
    mirror, source, target = way.mirror, way.source, way.target
    parts = {
        "source": source.sql,
        "target": target.sql,
        "s": way.is_row(source, "s", key),
        "t": way.is_row(target, "t", key),
        "target_columns": names(target.columns),
        "target_key": names(target.key),
        "source_key": names(source.key, of="s"),
        "values": _values(way),
        "stale": _stale(way),
        "emptied": _emptied(way),
        "held": sql.Literal(HELD),
    }
    if not mirror.makes:
        gone = sql.SQL("        NULL;  -- the other row is one of its own")
    elif way.side == "left":
        gone = sql.SQL("        DELETE FROM {target} AS t WHERE {t};").format(**parts)
    else:
        gone = sql.SQL("        UPDATE {target} AS t SET {emptied} WHERE {t};").format(**parts)
    made = sql.SQL("")
    if mirror.makes and way.side == "left":
        value = sql.SQL("CASE WHEN pg_catalog.cardinality(told) = 0 THEN {} ELSE {} END").format(
            sql.Literal(PLACEHOLDER), sql.Literal(OURS)
        )
        # Of a left row that was emptied, as where the right one was deleted, none is made. One that was made meanwhile
        # is brought in line at commit.
        made = sql.SQL(
            """
      ELSIF pg_catalog.cardinality(told) = 0 OR EXISTS (SELECT FROM {source} AS s WHERE {s} AND {holds}) THEN
        gone := ARRAY(SELECT c FROM {behind} AS b CROSS JOIN LATERAL pg_catalog.unnest(b.told) AS told (c)
                       WHERE {b} AND b.side = 'right' AND c <> ALL (told));
        INSERT INTO {target} ({target_key}, {target_columns}, {marker}) OVERRIDING SYSTEM VALUE
        SELECT {source_key}, {made}, {value} FROM {source} AS s WHERE {s}
            ON CONFLICT ({target_key}) DO NOTHING;
        IF NOT FOUND THEN RETURN {held}; END IF;"""
        ).format(
            **parts,
            holds=holds_something(mirror, "s"),
            behind=mirror.notes.sql,
            b=way.is_row(mirror.notes, "b", key),
            made=_made(way),
            marker=sql.Identifier(mirror.marker),
            value=value,
        )
    return sql.SQL(
        """      IF NOT there THEN
{gone}
      ELSIF other THEN
        UPDATE {target} AS t SET {values} FROM {source} AS s WHERE {s} AND {t} AND ({stale});{made}
      END IF;"""
    ).format(**parts, gone=gone, made=made)


def _emptied(way: Way) -> sql.Composable:
    """The right row is gone: what it held is not there any more on the left one."""
    return sql.SQL(", ").join(
        sql.SQL("{c} = CASE WHEN {label} = ANY (told) THEN {default} ELSE t.{c} END").format(
            c=sql.Identifier(column), label=sql.Literal(label), default=_default(given)
        )
        for column, label, given in zip(way.target.columns, way.mirror.right.columns, way.mirror.given, strict=True)
    )


def _made(way: Way) -> sql.Composable:
    """Values of a new right row; `gone`: columns of one that was deleted, which is not carried yet."""
    return sql.SQL(", ").join(
        sql.SQL("CASE WHEN {label} = ANY (gone) THEN {default} ELSE s.{c} END").format(
            c=sql.Identifier(column), label=sql.Literal(label), default=_default(given)
        )
        for column, label, given in zip(way.source.columns, way.mirror.right.columns, way.mirror.given, strict=True)
    )


def _default(column: Column) -> sql.Composable:
    return sql.SQL("CAST({} AS {})").format(trusted(column.default or "NULL"), trusted(column.type))


def _values(way: Way) -> sql.Composable:
    mirror = way.mirror
    values = [
        sql.SQL("{there} = CASE WHEN {told} THEN s.{here} ELSE t.{there} END").format(
            there=sql.Identifier(there), here=sql.Identifier(here), told=_told(way, label)
        )
        for here, there, label in zip(way.source.columns, way.target.columns, mirror.right.columns, strict=True)
    ]
    if way.side == "left":
        values.append(
            sql.SQL("{m} = CASE WHEN t.{m} IS NULL AND noted THEN NULL ELSE {ours} END").format(
                m=sql.Identifier(mirror.marker), ours=sql.Literal(OURS)
            )
        )
    return sql.SQL(", ").join(values)


def _told(way: Way, label: str) -> sql.Composable:
    """The column is to be carried: it was told, or the right row is not mapped yet and nothing of it is under way."""
    told = sql.SQL("{} = ANY (told)").format(sql.Literal(label))
    if way.side == "right":
        return told
    return sql.SQL("({} OR (t.{} IS NULL AND NOT noted))").format(told, sql.Identifier(way.mirror.marker))


def _stale(way: Way) -> sql.Composable:
    """There is anything to write."""
    mirror = way.mirror
    questions = [
        sql.SQL("({} = ANY (told) AND {} *<> {})").format(
            sql.Literal(label), record((there,), "t"), record((here,), "s")
        )
        for here, there, label in zip(way.source.columns, way.target.columns, mirror.right.columns, strict=True)
    ]
    if way.side == "left":
        marker = sql.Identifier(mirror.marker)
        questions.append(sql.SQL("(t.{} IS NULL AND NOT noted)").format(marker))
        questions.append(
            sql.SQL("(t.{} = {} AND pg_catalog.cardinality(told) > 0)").format(marker, sql.Literal(PLACEHOLDER))
        )
    return sql.SQL(" OR ").join(questions)
