"""The walks of a mirror: rows that existed before it, and those written while it was at rest."""

from __future__ import annotations

from crossfade.composing import sql
from crossfade.steps.compose import any_leaf, in_batch, lock, names, per_leaf
from crossfade.steps.mirror import notes
from crossfade.steps.mirror.tables import OURS, Half, Mirror
from crossfade.steps.step import BACKFILL, Leg, Lock, Walk


def fill(mirror: Mirror) -> Walk:
    """Rows that existed: the right one is made from the left one, or gets its values."""
    return _make_rows(mirror) if mirror.makes else _map_rows(mirror)


def refill(mirror: Mirror, leg: Leg, *, silent: bool) -> Walk:
    """Left rows whose right one was written while nothing was in step."""
    there = sql.SQL("{} AS t JOIN {} AS r ON {}")
    stale = mirror.differ("t", "r")
    batch = sql.SQL(
        """
WITH batch AS MATERIALIZED (
  SELECT t.ctid, {right} FROM {there} WHERE {in_range} AND {stale} FOR NO KEY UPDATE OF t SKIP LOCKED)
UPDATE {leaf} AS t SET {values} FROM batch WHERE t.ctid = batch.ctid AND {in_range}"""
    ).format(
        right=sql.SQL(", ").join(
            sql.SQL("{} AS {}").format(sql.Identifier("r", c), sql.Identifier(f"_cf_{n}"))
            for n, c in enumerate(mirror.right.columns)
        ),
        there=there.format(any_leaf(), mirror.right.sql, mirror.same("t", "r")),
        in_range=in_batch("t"),
        stale=stale,
        leaf=any_leaf(),
        values=sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(c), sql.Identifier("batch", f"_cf_{n}"))
            for n, c in enumerate(mirror.left.columns)
        ),
    )
    source = there.format(mirror.left.sql, mirror.right.sql, mirror.same("t", "r"))
    return Walk(
        id=mirror.id("end", "undo", "refill"),
        leg=leg,
        database=mirror.database,
        title=f"give {mirror.left.table} what {mirror.right.table} was written with since",
        locks=(*lock(mirror.left.relation, "ROW EXCLUSIVE"), *lock(mirror.right.relation, "ACCESS SHARE")),
        relation=mirror.left.relation,
        batch=per_leaf(batch),
        pending=sql.SQL("SELECT pg_catalog.count(*) FROM {} WHERE {}").format(source, stale).as_string(None),
        pending_rows=per_leaf(
            sql.SQL("SELECT t.ctid::text FROM {} WHERE {} AND {}").format(
                there.format(any_leaf(), mirror.right.sql, mirror.same("t", "r")), in_batch("t"), stale
            )
        ),
        silent=silent,
    )


def _make_rows(mirror: Mirror) -> Walk:
    missing = sql.SQL("NOT EXISTS (SELECT FROM {} AS r WHERE {}) AND NOT EXISTS (SELECT FROM {} AS b WHERE {})").format(
        mirror.right.sql, mirror.same("t", "r"), mirror.notes.sql, mirror.noted(mirror.left, "t")
    )
    # A row made meanwhile by who wrote the left one is newer than what is seen here.
    batch = sql.SQL(
        "INSERT INTO {right} ({there}, {marker}) OVERRIDING SYSTEM VALUE SELECT {here}, {ours} FROM {leaf} AS t"
        " WHERE {in_range} AND {missing} FOR NO KEY UPDATE OF t SKIP LOCKED ON CONFLICT ({key}) DO NOTHING"
    ).format(
        right=mirror.right.sql,
        there=names((*mirror.right.key, *mirror.right.columns)),
        here=names((*mirror.left.key, *mirror.left.columns), of="t"),
        marker=sql.Identifier(mirror.marker),
        ours=sql.Literal(OURS),
        leaf=any_leaf(),
        in_range=in_batch("t"),
        missing=missing,
        key=names(mirror.right.key),
    )
    return _walk(
        mirror,
        mirror.left,
        batch,
        due=missing,
        title=f"make the rows of {mirror.right.table} from those of {mirror.left.table}",
        locks=(*lock(mirror.left.relation, "ROW EXCLUSIVE"), *lock(mirror.right.relation, "ROW EXCLUSIVE")),
        undo_title="the rows go with their table",
    )


def _map_rows(mirror: Mirror) -> Walk:
    """A right row that has no left one has nothing to be given."""
    marker = sql.Identifier(mirror.marker)
    due = sql.SQL("t.{} IS NULL AND NOT EXISTS (SELECT FROM {} AS b WHERE {})").format(
        marker, mirror.notes.sql, mirror.noted(mirror.right, "t")
    )
    there = sql.Identifier("l", mirror.left.key[0])
    values = [
        sql.SQL("{c} = CASE WHEN {there} IS NULL THEN t.{c} ELSE {value} END").format(
            c=sql.Identifier(right),
            there=sql.Identifier("batch", "_cf_there"),
            value=sql.Identifier("batch", f"_cf_{n}"),
        )
        for n, right in enumerate(mirror.right.columns)
    ]
    read = [
        sql.SQL("{} AS {}").format(sql.Identifier("l", left), sql.Identifier(f"_cf_{n}"))
        for n, left in enumerate(mirror.left.columns)
    ]
    batch = sql.SQL(
        """
WITH batch AS MATERIALIZED (
  SELECT t.ctid, {there} AS _cf_there, {read} FROM {leaf} AS t LEFT JOIN {left} AS l ON {same}
   WHERE {in_range} AND {due} FOR NO KEY UPDATE OF t SKIP LOCKED)
UPDATE {leaf} AS t SET {values}, {marker} = {ours} FROM batch WHERE t.ctid = batch.ctid AND {in_range}"""
    ).format(
        there=there,
        read=sql.SQL(", ").join(read),
        leaf=any_leaf(),
        left=mirror.left.sql,
        same=mirror.same("l", "t"),
        in_range=in_batch("t"),
        due=due,
        values=sql.SQL(", ").join(values),
        marker=marker,
        ours=sql.Literal(OURS),
    )
    return _walk(
        mirror,
        mirror.right,
        batch,
        due=due,
        title=f"give the rows of {mirror.right.table} what those of {mirror.left.table} hold",
        locks=(*lock(mirror.right.relation, "ROW EXCLUSIVE"), *lock(mirror.left.relation, "ACCESS SHARE")),
        undo_title="the values go with their columns",
        writes=(*mirror.right.columns, mirror.marker),
    )


def _walk(
    mirror: Mirror,
    walked: Half,
    batch: sql.Composable,
    *,
    due: sql.Composable,
    title: str,
    locks: tuple[Lock, ...],
    undo_title: str,
    writes: tuple[str, ...] = (),
) -> Walk:
    """due: of a row `t` of the table walked."""
    in_range = sql.SQL("{} AS t WHERE {} AND {}").format(any_leaf(), in_batch("t"), due)
    return Walk(
        id=mirror.id("fill"),
        leg=BACKFILL,
        database=mirror.database,
        title=title,
        locks=locks,
        undo_title=undo_title,
        relation=walked.relation,
        batch=per_leaf(batch),
        conflict=per_leaf(notes.note(mirror, walked, in_range)),
        pending=sql.SQL("SELECT pg_catalog.count(*) FROM {} AS t WHERE {}").format(walked.sql, due).as_string(None),
        pending_rows=per_leaf(sql.SQL("SELECT t.ctid::text FROM {}").format(in_range)),
        settle=notes.settle(mirror),
        silent=mirror.silent,
        writes=writes,
    )
