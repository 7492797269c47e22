"""The walks of a way back: likes out of the kept table again, and a hidden table brought up to date."""

from __future__ import annotations

from crossfade.composing import sql
from crossfade.steps.absorbed import notes
from crossfade.steps.absorbed.tables import Absorbed
from crossfade.steps.compose import any_leaf, in_batch, lock, ours, per_leaf, table
from crossfade.steps.step import EXPAND, Check, Leg, Walk


def steps(absorbed: Absorbed) -> tuple[Check | Walk, ...]:
    """Once no row gets a like any more."""
    # Of the view, for it is asked under whatever name the table has by then.
    likes = sql.SQL("{} AS t JOIN {} AS k ON {} WHERE t.{}").format(
        absorbed.rows, absorbed.kept_sql, absorbed.is_like("t", "k"), sql.Identifier(absorbed.made)
    )
    asked = _ask(absorbed, sql.SQL("{} AND {}").format(likes, absorbed.referred), "ask", "that others refer to")
    return asked, _take_out(absorbed), _ask(absorbed, likes, "left", "that somebody refers to by now")


def _ask(absorbed: Absorbed, rows: sql.Composable, what: str, which: str) -> Check:
    words = f"rows of {absorbed.table.name.name} in {absorbed.kept.name.name} {which}"
    return Check(
        id=absorbed.id("come", "undo", what),
        leg=EXPAND,
        database=absorbed.database,
        title=f"ask that there are no {words}",
        locks=(*lock(absorbed.left, "ACCESS SHARE"), *lock(absorbed.right, "ACCESS SHARE")),
        query=sql.SQL("SELECT pg_catalog.count(*) AS {}, {} FROM {}")
        .format(sql.Identifier(words[:63]), notes.behind(absorbed), rows)
        .as_string(None),
        settle=notes.settle(absorbed),
        fix="delete the rows that refer to them, or let them refer to others; write those in conflict with values that"
        f" {absorbed.table.name} can hold; then roll back again",
    )


def _take_out(absorbed: Absorbed) -> Walk:
    """A row forgets its like in the statement that deletes that, so that the delete is not carried to it."""
    made, link = sql.Identifier(absorbed.made), sql.Identifier(absorbed.link)
    joined = sql.SQL("{} AND {} AND t.{} AND NOT {}").format(
        in_batch("t"), absorbed.is_like("t", "k"), made, absorbed.referred
    )
    locked = sql.SQL("SELECT FROM {} AS t, {} AS k WHERE {} FOR UPDATE OF t, k SKIP LOCKED").format(
        any_leaf(), absorbed.kept_sql, joined
    )
    key = sql.Identifier(absorbed.key.name)
    batch = sql.SQL(
        """
WITH gone AS (
  UPDATE {leaf} AS t SET {made} = NULL, {link} = NULL FROM {kept} AS k
   WHERE {joined} AND {ours} AND {ours_too} RETURNING k.ctid AS place, k.{key} AS key)
DELETE FROM {kept} AS k USING gone WHERE k.ctid = gone.place AND k.{key} = gone.key"""
    ).format(
        leaf=any_leaf(),
        made=made,
        link=link,
        kept=absorbed.kept_sql,
        joined=joined,
        ours=ours("t"),
        ours_too=ours("k"),
        key=key,
    )
    due = sql.SQL("{} AS t, {} AS k WHERE {} AND t.{} AND NOT {}")
    same = absorbed.is_like("t", "k")
    return Walk(
        id=absorbed.id("come", "undo", "take out"),
        leg=EXPAND,
        database=absorbed.database,
        title=f"take the rows of {absorbed.table.name} out of {absorbed.kept.name} again",
        locks=(*lock(absorbed.left, "ROW EXCLUSIVE"), *lock(absorbed.right, "ROW EXCLUSIVE")),
        relation=absorbed.left,
        first=(per_leaf(locked),),
        batch=per_leaf(batch),
        pending=sql.SQL("SELECT pg_catalog.count(*) FROM {}")
        .format(due.format(table(absorbed.left), absorbed.kept_sql, same, made, absorbed.referred))
        .as_string(None),
        pending_rows=per_leaf(
            sql.SQL("SELECT t.ctid::text FROM {} AS t, {} AS k WHERE {}").format(any_leaf(), absorbed.kept_sql, joined)
        ),
        silent=absorbed.silent_back,
    )


def refill(absorbed: Absorbed, leg: Leg) -> Walk:
    """What became of likes while the hidden table was at rest: a row goes with its like, or takes its values over."""
    made, key = sql.Identifier(absorbed.made), sql.Identifier(absorbed.key.name)
    in_range = in_batch("t")

    def stale(rows: sql.Composable) -> sql.Composable:
        return sql.SQL("{} AS t LEFT JOIN {} AS k ON {} WHERE t.{} AND (k.{} IS NULL OR {})").format(
            rows, absorbed.kept_sql, absorbed.is_like("t", "k"), made, key, absorbed.differ("t", "k")
        )

    differing = sql.SQL("{} AND {} AND t.{} AND {}").format(
        in_range, absorbed.is_like("t", "k"), made, absorbed.differ("t", "k")
    )
    gone = sql.SQL("DELETE FROM {} AS t WHERE {} AND t.{} AND NOT EXISTS (SELECT FROM {} AS k WHERE {})").format(
        any_leaf(), in_range, made, absorbed.kept_sql, absorbed.is_like("t", "k")
    )
    locked = sql.SQL("SELECT FROM {} AS t, {} AS k WHERE {} FOR UPDATE OF t, k SKIP LOCKED").format(
        any_leaf(), absorbed.kept_sql, differing
    )
    values = sql.SQL(", ").join(
        sql.SQL("{} = k.{}").format(sql.Identifier(name), sql.Identifier(there))
        for there, name in absorbed.columns.items()
    )
    return Walk(
        id=absorbed.id("likes", "end", "undo", "refill"),
        leg=leg,
        database=absorbed.database,
        title=f"bring the hidden {absorbed.table.name} up to date with {absorbed.kept.name}",
        locks=(*lock(absorbed.hidden, "ROW EXCLUSIVE"), *lock(absorbed.right, "ROW SHARE")),
        relation=absorbed.hidden,
        first=(per_leaf(gone), per_leaf(locked)),
        batch=per_leaf(
            sql.SQL("UPDATE {} AS t SET {} FROM {} AS k WHERE {} AND {} AND {}").format(
                any_leaf(), values, absorbed.kept_sql, differing, ours("t"), ours("k")
            )
        ),
        pending=sql.SQL("SELECT pg_catalog.count(*) FROM {}").format(stale(table(absorbed.hidden))).as_string(None),
        pending_rows=per_leaf(sql.SQL("SELECT t.ctid::text FROM {} AND {}").format(stale(any_leaf()), in_range)),
        silent=absorbed.silent_old,
    )
