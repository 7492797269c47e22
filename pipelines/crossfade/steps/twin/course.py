"""The steps of a twin: kept in step and filled, proved to be the same, and parted from in the end."""

from __future__ import annotations

from typing import LiteralString

from crossfade.composing import sql
from crossfade.steps.compose import any_leaf, in_batch, lock, names, per_leaf, text
from crossfade.steps.conflicts import counted, open_conflicts, passing, resolved
from crossfade.steps.kept import key_json
from crossfade.steps.step import BACKFILL, EXPAND, Check, Ddl, Guard, Leg, Relation, Walk, stage_leg
from crossfade.steps.twin import functions, triggers
from crossfade.steps.twin.tables import Moment, Twin

_CUTOVER, _ARCHIVE = stage_leg("cutover"), stage_leg("archive")


def expand(twin: Twin) -> Ddl:
    """From here on the twin follows; rows that existed are copied by `fill`."""
    return Ddl(
        id=twin.id("sync"),
        leg=EXPAND,
        database=twin.database,
        title=f"keep {twin.shown} in step (triggers)",
        locks=lock(twin.relation, "SHARE ROW EXCLUSIVE"),
        statements=triggers.install(twin, "side by side"),
        undo=(
            Ddl(
                id=twin.id("sync", "undo"),
                leg=EXPAND,
                database=twin.database,
                title=f"drop the triggers that keep {twin.shown} in step",
                locks=lock(twin.relation, "ACCESS EXCLUSIVE"),
                statements=triggers.end(twin),
            ),
        ),
        undo_title="drop them",
    )


def fill(twin: Twin) -> Walk:
    """Rows that existed are copied. A row made meanwhile by who wrote the table is newer than what is seen here."""
    target = twin.target("side by side")
    missing = sql.SQL("NOT EXISTS (SELECT FROM {} AS o WHERE {}) AND {}").format(
        target, twin.same("o", "t"), _not_noted(twin)
    )
    in_range = sql.SQL("{} AS t WHERE {} AND {}").format(any_leaf(), in_batch("t"), missing)
    batch = sql.SQL(
        "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} FOR NO KEY UPDATE OF t SKIP LOCKED"
        " ON CONFLICT ({}) DO NOTHING"
    ).format(target, names(twin.names), names(twin.names, of="t"), in_range, names(twin.key))
    return Walk(
        id=twin.id("fill"),
        leg=BACKFILL,
        database=twin.database,
        title=f"copy the rows of {twin.table} to its twin",
        locks=lock(twin.relation, "ROW EXCLUSIVE"),
        undo_title="the rows go with the twin",
        relation=twin.relation,
        batch=per_leaf(batch),
        conflict=per_leaf(functions.note(twin, in_range)),
        pending=_counted(twin.source, missing),
        pending_rows=per_leaf(sql.SQL("SELECT t.ctid::text FROM {}").format(in_range)),
        settle=functions.settle(twin),
    )


def parity(twin: Twin, leg: Leg) -> Check:
    """Both hold the same rows, and nothing is still to be carried: a scan without a lock."""
    return Check(
        id=twin.id("parity", str(leg)),
        leg=leg,
        database=twin.database,
        title=f"prove that {twin.shown} hold the same rows",
        locks=lock(twin.relation, "ACCESS SHARE"),
        query=sql.SQL("SELECT {}, {} FROM {}")
        .format(_differences(twin, "side by side"), counted(twin.notes), _both(twin, "side by side"))
        .as_string(None),
        witness=_asked(_FACTS, twin).as_string(None).strip(),
        settle=functions.settle(twin),
        fix="write these rows again, then run `crossfade up`",
    )


def ask_before_turning_back(twin: Twin) -> Check:
    """The table of old holds what its twin was written with. This is not asked while nothing is in step, nor while the
    one is still brought up to date with the other.
    """
    noted = sql.SQL("({} AND ({}))").format(open_conflicts(twin.migration, str(twin.table), "sqlstate"), _in_step(twin))
    return Check(
        id=twin.id("turn", "undo", "ask"),
        leg=_CUTOVER,
        database=twin.database,
        title=f"ask that {twin.old} holds every row of {twin.table} as it is",
        locks=lock(twin.relation, "ACCESS SHARE"),
        query=sql.SQL("SELECT {}, {} FROM {} WHERE ({})")
        .format(_differences(twin, "turned"), counted(noted), _both(twin, "turned"), _in_step(twin))
        .as_string(None),
        settle=functions.settle(twin),
        fix="write these rows with values that the table of old can hold, or delete in it what is in no partition any"
        " more; then roll back again",
    )


def guards(twin: Twin) -> tuple[Guard, ...]:
    """What a turn asks under its lock."""
    return (
        Guard(
            query=_always_on(twin).as_string(None).strip(),
            refusal=f"a trigger that keeps {twin.shown} in step is missing, disabled or not enabled ALWAYS",
        ),
    )


def end(twin: Twin) -> Ddl:
    """The two part. What the table of old could not follow in matters no more, until it is brought up to date."""
    return Ddl(
        id=twin.id("end"),
        leg=_ARCHIVE,
        database=twin.database,
        title=f"end what keeps {twin.old} in step with {twin.table}",
        locks=lock(twin.relation, "ACCESS EXCLUSIVE"),
        statements=(*triggers.end(twin), *text(resolved(twin.migration, str(twin.table)))),
        undo=(
            Ddl(
                id=twin.id("end", "undo"),
                leg=_ARCHIVE,
                database=twin.database,
                title=f"keep {twin.old} in step with {twin.table} again",
                locks=lock(twin.relation, "ACCESS EXCLUSIVE"),
                statements=triggers.install(twin, "turned"),
            ),
            _forgotten(twin),
            _refill(twin),
        ),
        undo_title="keep it in step again, and bring it up to date",
    )


def _forgotten(twin: Twin) -> Walk:
    """Rows that were deleted since."""
    gone = sql.SQL("NOT EXISTS (SELECT FROM {} AS o WHERE {})").format(twin.source, twin.same("o", "t"))
    return _mended(twin, "forget", gone, twin.target_relation("turned"), f"delete in {twin.old} what is gone")


def _refill(twin: Twin) -> Walk:
    """Rows that were written since."""
    like = sql.SQL("NOT EXISTS (SELECT FROM {} AS o WHERE {} AND NOT {})").format(
        twin.target("turned"), twin.same("o", "t"), twin.differ("o", "t")
    )
    return _mended(twin, "refill", like, twin.relation, f"bring {twin.old} up to date with {twin.table}")


def _mended(twin: Twin, name: str, stale: sql.Composable, walked: Relation, title: str) -> Walk:
    due = sql.SQL("{} AND {}").format(stale, _not_noted(twin))
    in_range = sql.SQL("{} AS t WHERE {} AND {}").format(any_leaf(), in_batch("t"), due)
    batch = sql.SQL(
        "WITH batch AS MATERIALIZED (SELECT {} FROM {} FOR NO KEY UPDATE OF t SKIP LOCKED)"
        " SELECT {}({}, false) FROM batch AS t"
    ).format(names(twin.key, of="t"), in_range, twin.function("carry"), names(twin.key, of="t"))
    table = sql.Identifier(walked.schema_name, walked.name)
    return Walk(
        id=twin.id("end", "undo", name),
        leg=_ARCHIVE,
        database=twin.database,
        title=title,
        locks=lock(twin.relation, "ROW EXCLUSIVE"),
        relation=walked,
        batch=per_leaf(batch),
        pending=_counted(table, due),
        pending_rows=per_leaf(sql.SQL("SELECT t.ctid::text FROM {}").format(in_range)),
        settle=functions.settle(twin),
    )


def _counted(table: sql.Identifier, rows: sql.Composable) -> str:
    return sql.SQL("SELECT pg_catalog.count(*) FROM {} AS t WHERE {}").format(table, rows).as_string(None)


def _not_noted(twin: Twin) -> sql.Composable:
    return sql.SQL("NOT EXISTS (SELECT FROM {} AS b WHERE {})").format(twin.notes, twin.noted("t"))


def _both(twin: Twin, moment: Moment) -> sql.Composable:
    return sql.SQL("{} AS t FULL JOIN {} AS o ON {}").format(twin.source, twin.target(moment), twin.same("t", "o"))


def _differences(twin: Twin, moment: Moment) -> sql.Composable:
    key = sql.Identifier(twin.key[0])
    other = "the twin" if moment == "side by side" else "the table of old"
    asked = (
        (sql.SQL("o.{} IS NULL").format(key), f"rows of {twin.table.name[:30]} that {other} has not"),
        (sql.SQL("t.{} IS NULL").format(key), f"rows in {other} that {twin.table.name[:30]} has not"),
        (sql.SQL("{}").format(twin.differ("t", "o")), "rows that differ"),
    )
    # Those noted are counted as what they are noted for.
    noted = sql.SQL("EXISTS ({} AND key IN ({}, {}))").format(
        open_conflicts(twin.migration, str(twin.table)),
        *(key_json(twin.key, [sql.Identifier(row, name) for name in twin.key]) for row in ("t", "o")),
    )
    both = sql.SQL("t.{k} IS NOT NULL AND o.{k} IS NOT NULL AND ").format(k=key)
    return sql.SQL(", ").join(
        sql.SQL("pg_catalog.count(*) FILTER (WHERE {}{} AND NOT ({})) AS {}").format(
            both if words == "rows that differ" else sql.SQL(""), wrong, noted, sql.Identifier(words)
        )
        for wrong, words in asked
    )


_FACTS = """
SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', kind, oid, version, enabled), ',' ORDER BY kind, oid) FROM (
  SELECT 'trigger' AS kind, t.oid, t.xmin::text AS version, t.tgenabled::text AS enabled
    FROM pg_trigger AS t WHERE t.tgrelid = {table}::regclass::oid AND t.tgname = ANY ({triggers})
  UNION ALL
  SELECT 'note', 0::oid, n.id::text, NULL FROM {notes} AS n WHERE n.sqlstate NOT IN ({passing})
  UNION ALL
  SELECT 'function', f.oid, f.xmin::text, NULL FROM pg_proc AS f
   WHERE f.proname = ANY ({functions}) AND f.pronamespace = 'crossfade'::regnamespace::oid) AS facts"""
_ON = """
SELECT pg_catalog.cardinality({triggers}) = (
  SELECT pg_catalog.count(*) FROM pg_trigger AS t
   WHERE t.tgenabled = 'A' AND t.tgrelid = {table}::regclass::oid AND t.tgname = ANY ({triggers}))"""


def _always_on(twin: Twin) -> sql.Composed:
    """A query: all triggers are there and enabled ALWAYS."""
    return _asked(_ON, twin)


def _in_step(twin: Twin) -> sql.Composable:
    """A query: they are kept in step, and have been since the turn, or are so again."""
    parted = sql.SQL("SELECT FROM crossfade.step WHERE migration = {} AND id = {} AND state <> 'undone'").format(
        sql.Literal(twin.migration), sql.Literal(twin.id("end"))
    )
    return sql.SQL("SELECT ({}) AND NOT EXISTS ({})").format(_always_on(twin), parted)


def _asked(query: LiteralString, twin: Twin) -> sql.Composed:
    return sql.SQL(query).format(
        table=sql.Literal(twin.source.as_string(None)),
        triggers=sql.SQL("CAST({} AS name[])").format(sql.Literal(list(triggers.trigger_names(twin)))),
        notes=twin.notes,
        passing=passing(),
        functions=sql.SQL("CAST({} AS name[])").format(sql.Literal(functions.function_names(twin))),
    )
