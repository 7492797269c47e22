"""New columns beside the old ones: added empty, kept in step, filled, and proved to agree."""

from __future__ import annotations

from collections.abc import Iterator

from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps.agreement import agrees
from crossfade.steps.compose import any_leaf, in_batch, lock, per_leaf, text
from crossfade.steps.conflicts import IN_CONFLICT, open_conflicts, resolved
from crossfade.steps.rows import Moment, Sides
from crossfade.steps.step import BACKFILL, EXPAND, VALIDATE, AnyStep, Check, Ddl, Guard, Leg, Walk
from crossfade.steps.sync import always_on, install_sync, key_json, remove_sync, unbroken, witness


def expand(sides: Sides) -> Iterator[AnyStep]:
    """The new columns and the marker, then the trigger: each a short transaction that no old writer notices."""
    relation = sides.relation
    if sides.arriving or sides.synced:
        yield Ddl(
            id=sides.id("columns", "add"),
            leg=EXPAND,
            database=sides.database,
            title=f"add {_arriving(sides)} to {relation}, empty",
            locks=lock(relation, "ACCESS EXCLUSIVE"),
            statements=text(*_add_columns(sides)),
            undo=(
                Ddl(
                    id=sides.id("columns", "add", "undo"),
                    leg=EXPAND,
                    database=sides.database,
                    title=f"drop the added columns of {relation}",
                    locks=lock(relation, "ACCESS EXCLUSIVE"),
                    statements=text(*_drop_columns(sides)),
                ),
            ),
            undo_title="drop the added columns",
        )
    if sides.synced:
        yield Ddl(
            id=sides.id("sync", "install"),
            leg=EXPAND,
            database=sides.database,
            title=f"keep both sides of {relation} in step (trigger)",
            locks=lock(relation, "SHARE ROW EXCLUSIVE"),
            statements=install_sync(sides, "side by side"),
            undo=(
                Ddl(
                    id=sides.id("sync", "install", "undo"),
                    leg=EXPAND,
                    database=sides.database,
                    title=f"drop the sync triggers of {relation}",
                    locks=lock(relation, "ACCESS EXCLUSIVE"),
                    statements=remove_sync(sides),
                ),
            ),
            undo_title="drop the triggers",
        )


def backfill(sides: Sides) -> Walk:
    """Existing rows get their new values; rows that others hold are skipped and visited again."""
    return _walk(sides, BACKFILL, sides.id("backfill"), f"fill {_arriving(sides)} of {sides.relation}")


def gather(sides: Sides) -> Walk:
    """Rows of transactions that began before what they refer to was filled, and ended after the walk had gone by."""
    return _walk(sides, VALIDATE, sides.id("gather"), f"fill what came late into {sides.relation}")


def _walk(sides: Sides, leg: Leg, step_id: str, title: str) -> Walk:
    marker = sql.Identifier(sides.marker)
    names = sides.new_names("side by side")
    values = [
        sql.SQL("{} = {}").format(
            sql.Identifier(names.get(column, column)), sides.up(pair, column, "t", "side by side")
        )
        for pair in sides.pairs
        for column in pair.up
    ]
    in_range = sql.SQL("{} AND t.{} IS NULL").format(in_batch("t"), marker)
    chosen = sql.SQL(
        """
WITH batch AS MATERIALIZED (
  SELECT t.ctid FROM {leaf} AS t WHERE {in_range} FOR NO KEY UPDATE SKIP LOCKED)
UPDATE {leaf} AS t SET {values} FROM batch
 WHERE t.ctid = batch.ctid AND {still}"""
    )
    waiting = sql.SQL("UPDATE {} AS t SET {} WHERE {}")
    mapped = sql.SQL("{} = true").format(marker)
    written = sql.SQL(", ").join([*values, mapped])
    unmapped = sql.SQL("{} = NULL").format(marker)
    noted = sql.SQL(
        """
WITH one AS (
  UPDATE {leaf} AS t SET {marker} = false WHERE {in_range} RETURNING {key} AS key)
SELECT crossfade.note_conflict({migration}, {relation}, one.key, $3) FROM one"""
    ).format(
        leaf=any_leaf(),
        marker=marker,
        in_range=in_range,
        key=key_json(sides, sql.Identifier("t")),
        migration=sql.Literal(sides.migration),
        relation=sql.Literal(str(sides.relation)),
    )
    return Walk(
        id=step_id,
        leg=leg,
        database=sides.database,
        title=title,
        locks=lock(sides.relation, "ROW EXCLUSIVE"),
        undo_title="the new values go with their columns",
        relation=sides.relation,
        batch=per_leaf(chosen.format(leaf=any_leaf(), in_range=in_range, values=written, still=in_batch("t"))),
        waiting=per_leaf(waiting.format(any_leaf(), written, in_range)),
        # Written without a mark, so that the sync trigger maps each row and notes the one it cannot map.
        careful=per_leaf(chosen.format(leaf=any_leaf(), in_range=in_range, values=unmapped, still=in_batch("t"))),
        conflict=per_leaf(noted),
        settle=settle(sides),
        pending=sql.SQL("SELECT pg_catalog.count(*) FROM {} AS t WHERE t.{} IS NULL")
        .format(sides.sql, marker)
        .as_string(None),
        pending_rows=per_leaf(sql.SQL("SELECT t.ctid::text FROM {} AS t WHERE {}").format(any_leaf(), in_range)),
        silent=sides.silent,
        writes=(*(sides.physical(column) for column in sides.arriving), sides.marker),
    )


def proof(sides: Sides, leg: Leg, moment: Moment) -> Iterator[Check]:
    """Both sides may be relied on: by their values, or, where those are not compared, by what wrote them."""
    yield parity(sides, leg, moment)
    if any(pair.up and not pair.comparable for pair in sides.pairs):
        yield Check(
            id=sides.id("sync", "unbroken", str(leg)),
            leg=leg,
            database=sides.database,
            title=f"prove that {sides.relation} was kept in step all the time",
            query=unbroken(sides).strip(),
            fix="nothing tells which rows were written meanwhile and not mapped: find out who switches triggers, then"
            f" `crossfade rollback {sides.migration}`, and begin again",
        )


def parity(sides: Sides, leg: Leg, moment: Moment) -> Check:
    """Every row is mapped, none is in conflict, both sides agree: a scan without a lock, just before it matters."""
    marker = sql.Identifier(sides.marker)
    counts = sql.SQL(
        """
SELECT pg_catalog.count(*) FILTER (WHERE t.{m} IS NULL) AS "rows not mapped yet",
       pg_catalog.count(*) FILTER (WHERE t.{m} IS FALSE) AS {in_conflict},
       pg_catalog.count(*) FILTER (WHERE CASE WHEN t.{m} THEN NOT ({agree}) ELSE false END)
         AS "rows whose sides disagree"
  FROM {table} AS t"""
    ).format(m=marker, in_conflict=sql.Identifier(IN_CONFLICT), agree=agrees(sides, moment, "t"), table=sides.sql)
    return Check(
        id=sides.id("parity", str(leg)),
        leg=leg,
        database=sides.database,
        title=f"prove that every row of {sides.relation} is mapped and both sides agree",
        locks=lock(sides.relation, "ACCESS SHARE"),
        query=counts.as_string(None).strip(),
        witness=witness(sides).strip(),
        settle=settle(sides),
        silent=sides.silent,
        fix="mend these rows: write the old column again with a value that can be mapped; then run `crossfade up`",
    )


def turn_guards(sides: Sides) -> tuple[Guard, ...]:
    """What a turn asks under its lock, none of it a scan."""
    if not sides.synced:
        return ()
    no_conflict = sql.SQL(
        "SELECT NOT EXISTS (SELECT FROM crossfade.conflict"
        " WHERE migration = {} AND relation = {} AND resolved_at IS NULL)"
    ).format(sql.Literal(sides.migration), sql.Literal(str(sides.relation)))
    return (
        Guard(
            query=always_on(sides).strip(),
            refusal=f"a sync trigger of {sides.relation} is missing, disabled or not enabled ALWAYS",
        ),
        Guard(
            query=no_conflict.as_string(None),
            refusal=f"a row of {sides.relation} came into conflict since it was checked"
            f" (`crossfade conflicts {sides.migration}` lists it)",
        ),
    )


def settle(sides: Sides) -> tuple[str, ...]:
    """Rows in conflict are tried again; those that are gone or mended count no longer."""
    marker = sql.Identifier(sides.marker)
    # Written as they are, so that the sync trigger fills an empty new side; it leaves one alone that the new version
    # wrote and `down` could not map. Found by a scan that locks none, then locked and written by ctid: nobody who
    # writes one of them waits for a scan. Partitions share ctids, hence tableoid.
    again = sql.SQL(
        """
WITH again AS MATERIALIZED (
  SELECT t.tableoid, t.ctid FROM {table} AS t
   WHERE t.ctid = ANY (ARRAY(SELECT f.ctid FROM {table} AS f WHERE f.{marker} IS FALSE)) AND t.{marker} IS FALSE
     FOR NO KEY UPDATE SKIP LOCKED)
UPDATE {table} AS t SET {marker} = false FROM again
 WHERE t.ctid = ANY (ARRAY(SELECT ctid FROM again)) AND t.ctid = again.ctid AND t.tableoid = again.tableoid"""
    ).format(table=sides.sql, marker=marker)
    in_conflict = sql.SQL("FROM {} AS t WHERE t.{} IS FALSE").format(sides.sql, marker)
    if sides.key:
        gone = sql.SQL("key NOT IN (SELECT {} {})").format(key_json(sides, sql.Identifier("t")), in_conflict)
    else:
        # Which row such a note is of nobody knows, and a row has one for each time it was written: as many are kept
        # as there are rows.
        gone = sql.SQL("id NOT IN ({} ORDER BY id DESC LIMIT (SELECT pg_catalog.count(*) {}))").format(
            open_conflicts(sides.migration, str(sides.relation)), in_conflict
        )
    return text(again, resolved(sides.migration, str(sides.relation), gone))


def _arriving(sides: Sides) -> str:
    found = ", ".join(column.name for column in sides.arriving)
    return f"new column {found}" if len(sides.arriving) == 1 else f"new columns {found or '(the marker only)'}"


def _add_columns(sides: Sides) -> Iterator[sql.Composable]:
    for column in sides.arriving:
        collation = sql.SQL(" COLLATE {}").format(trusted(column.collation)) if column.collation else sql.SQL("")
        yield sides.alter("ADD COLUMN {} {}{}", sides.physical(column), trusted(column.type), collation)
        for clause in column.tuning.clauses(sides.physical(column)):
            yield sides.alter("{}", clause)
        if column.comment:
            yield _comment_on(sides, sides.physical(column), column.comment)
    if sides.synced:
        yield sides.alter("ADD COLUMN {} boolean", sides.marker)
        yield sides.explain_marker()


def _comment_on(sides: Sides, column: str, comment: str) -> sql.Composable:
    name = sql.Identifier(sides.table.name.schema, sides.table.name.name, column)
    return sql.SQL("COMMENT ON COLUMN {} IS {}").format(name, sql.Literal(comment))


def _drop_columns(sides: Sides) -> Iterator[sql.Composable]:
    for column in sides.arriving:
        yield sides.alter("DROP COLUMN IF EXISTS {}", sides.physical(column))
    if sides.synced:
        yield sides.alter("DROP COLUMN IF EXISTS {}", sides.marker)
