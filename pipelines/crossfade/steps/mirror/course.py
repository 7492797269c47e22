"""The steps of a mirror: set up, filled, proved, turned when the old side goes, and ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import LiteralString

from crossfade.composing import sql
from crossfade.steps.compose import lock, text
from crossfade.steps.conflicts import counted, open_conflicts, passing
from crossfade.steps.mirror import notes, triggers, walks, written
from crossfade.steps.mirror.functions import function_names
from crossfade.steps.mirror.tables import OURS, THEIRS, Mirror, Moment
from crossfade.steps.step import EXPAND, AnyStep, Check, Ddl, Guard, Leg, Lock, Walk, stage_leg


def expand(mirror: Mirror) -> Iterator[Ddl]:
    """From here on both sides follow each other; rows that existed are mapped by the walk."""
    functions, lefts, rights = _parts(mirror, "side by side")
    ask = _ask_old_side(mirror, EXPAND, "right")
    for part, asked in ((functions, ()), (lefts, ()), (rights, (ask,))):
        yield part.ddl(mirror, EXPAND, part.on, undo=(*asked, part.ddl(mirror, EXPAND, part.off, undone=True)))


def parity(mirror: Mirror, leg: Leg) -> Check:
    """Both sides hold the same, and nothing is still to be carried: a scan without a lock."""
    join = sql.SQL("FULL JOIN" if mirror.makes else "LEFT JOIN")
    wrong = [
        sql.SQL("r.{r} IS NULL AND {held}"),
        sql.SQL("l.{l} IS NOT NULL AND r.{r} IS NOT NULL AND {differ}"),
    ]
    words = [
        f"rows of {mirror.left.table} without one in {mirror.right.table}",
        f"rows of {mirror.shown} that disagree",
    ]
    if mirror.makes:
        wrong.append(sql.SQL("l.{l} IS NULL"))
        words.append(f"rows of {mirror.right.table} without one in {mirror.left.table}")
    parts = {
        "l": sql.Identifier(mirror.left.key[0]),
        "r": sql.Identifier(mirror.right.key[0]),
        "held": written.holds_something(mirror, "l"),
        "differ": mirror.differ("l", "r"),
    }
    # Those noted are counted as what they are noted for.
    noted = sql.SQL("EXISTS (SELECT FROM {} AS b WHERE {} OR {})").format(
        mirror.notes.sql, mirror.noted(mirror.left, "l"), mirror.noted(mirror.right, "r")
    )
    asked = [
        sql.SQL("pg_catalog.count(*) FILTER (WHERE {} AND NOT {}) AS {}").format(
            each.format(**parts), noted, sql.Identifier(said[:63])
        )
        for each, said in zip(wrong, words, strict=True)
    ]
    query = sql.SQL("SELECT {} FROM {} AS l {} {} AS r ON {}").format(
        sql.SQL(", ").join([*asked, counted(mirror.notes.sql)]),
        mirror.left.sql,
        join,
        mirror.right.sql,
        mirror.same("l", "r"),
    )
    return Check(
        id=mirror.id("parity", str(leg)),
        leg=leg,
        database=mirror.database,
        title=f"prove that {mirror.shown} hold the same",
        locks=(*lock(mirror.left.relation, "ACCESS SHARE"), *lock(mirror.right.relation, "ACCESS SHARE")),
        query=query.as_string(None),
        witness=_witness(mirror),
        settle=notes.settle(mirror),
        fix="write these rows again on the side that is right, or make the row that is missing; then run"
        " `crossfade up`",
    )


def guards(mirror: Mirror, moment: Moment) -> tuple[Guard, ...]:
    """What a turn asks under its lock."""
    return (
        Guard(
            query=_always_on(mirror, moment),
            refusal=f"a trigger that keeps {mirror.shown} in step is missing, disabled or not enabled ALWAYS",
        ),
    )


def ask_before_turning_back(mirror: Mirror, leg: Leg) -> Check:
    """Nothing that the new side was written with is missing on the old one."""
    return _ask_old_side(mirror, leg, "turn")


def _ask_old_side(mirror: Mirror, leg: Leg, undone: str) -> Check:
    """undone: what comes next, as ids call it."""
    noted = sql.SQL("({})").format(open_conflicts(mirror.migration, mirror.listed(mirror.right), "sqlstate"))
    return Check(
        id=mirror.id(undone, "undo", "ask"),
        leg=leg,
        database=mirror.database,
        title=f"ask that {mirror.left.table} holds what {mirror.right.table} was written with",
        query=sql.SQL("SELECT {}").format(counted(noted)).as_string(None),
        settle=notes.settle(mirror),
        fix="write these rows with values that the old column can hold, then roll back again",
    )


def archive(mirror: Mirror, *, silent: bool) -> Iterator[Ddl]:
    """The two part. mirror: with the left columns under the names of then. silent: of triggers of the left table."""
    leg = stage_leg("archive")
    refill: tuple[Walk, ...] = (walks.refill(mirror, leg, silent=silent),)
    for part in reversed(_parts(mirror, "turned", existing=OURS)):
        again = part.ddl(mirror, leg, part.on, undone=True)
        yield part.ddl(mirror, leg, part.off, undo=(again, *refill))
        refill = ()


@dataclass(frozen=True)
class _Part:
    """Something that is there while the two are in step; each is done under a lock on one table alone.

    With a lock on one of them, a wait for the other would meet the clients who hold that and want this.
    """

    name: str
    title: str
    locks: tuple[Lock, ...]
    on: tuple[str, ...]
    off: tuple[str, ...]

    def ddl(
        self,
        mirror: Mirror,
        leg: Leg,
        statements: tuple[str, ...],
        *,
        undo: tuple[AnyStep, ...] = (),
        undone: bool = False,
    ) -> Ddl:
        removes = statements is self.off
        return Ddl(
            id=mirror.id(self.name, *([str(leg)] if leg != EXPAND else []), *(["undo"] if undone else [])),
            leg=leg,
            database=mirror.database,
            title=f"{'drop' if removes else 'install'} {self.title}",
            locks=self.locks,
            statements=statements,
            undo=undo,
            undo_title=f"{'install' if removes else 'drop'} them" + (" again" if removes else ""),
        )


def _parts(mirror: Mirror, moment: Moment, existing: int | None = None) -> tuple[_Part, ...]:
    """existing: what the marker says of rows that are there when it comes.

    In this order none of them misses a row: a right row that comes before its triggers is not mapped, as the old ones.
    """
    right = lock(mirror.right.relation, "ACCESS EXCLUSIVE")
    marker = sql.Identifier(mirror.marker)
    alter = sql.SQL("ALTER TABLE {} {}")
    of_now = sql.SQL("") if existing is None else sql.SQL(" DEFAULT {}").format(sql.Literal(existing))
    said = f"crossfade: NULL not mapped yet, 0 made for a row that gave nothing; migration {mirror.migration}"
    column = sql.Identifier(mirror.right.table.schema, mirror.right.table.name, mirror.marker)
    marked = text(
        alter.format(mirror.right.sql, sql.SQL("ADD COLUMN {} smallint{}").format(marker, of_now)),
        sql.SQL("COMMENT ON COLUMN {} IS {}").format(column, sql.Literal(said)),
    )
    unmarked = text(alter.format(mirror.right.sql, sql.SQL("DROP COLUMN IF EXISTS {}").format(marker)))
    theirs = text(
        alter.format(mirror.right.sql, sql.SQL("ALTER COLUMN {} SET DEFAULT {}").format(marker, sql.Literal(THEIRS)))
    )
    functions = _Part(
        "functions",
        f"what keeps {mirror.shown} in step",
        right,
        (*marked, *triggers.functions(mirror, moment)),
        (*triggers.without_functions(mirror), *unmarked),
    )
    lefts = _Part(
        "left",
        f"the triggers of {mirror.left.table} that carry to {mirror.right.table}",
        lock(mirror.left.relation, "ACCESS EXCLUSIVE"),
        triggers.on(mirror, "left", moment),
        triggers.off(mirror, "left"),
    )
    rights = _Part(
        "right",
        f"the triggers of {mirror.right.table} that carry to {mirror.left.table}",
        right,
        (*theirs, *triggers.on(mirror, "right", moment)),
        (*notes.none_held(mirror), *triggers.off(mirror, "right")),  # the old side has what the new one was given
    )
    return functions, lefts, rights


_FACTS = """
SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', kind, oid, version, enabled), ',' ORDER BY kind, oid) FROM (
  SELECT 'trigger' AS kind, t.oid, t.xmin::text AS version, t.tgenabled::text AS enabled
    FROM pg_trigger AS t
   WHERE (t.tgrelid = {left}::regclass::oid OR t.tgrelid = {right}::regclass::oid)
     AND (t.tgname = ANY ({lefts}) OR t.tgname = ANY ({rights}))
  UNION ALL
  SELECT 'note', 0::oid, n.id::text, NULL FROM {notes} AS n WHERE n.sqlstate NOT IN ({passing})
  UNION ALL
  SELECT 'function', f.oid, f.xmin::text, NULL FROM pg_proc AS f
   WHERE f.proname = ANY ({functions}) AND f.pronamespace = 'crossfade'::regnamespace::oid) AS facts"""
_ON = """
SELECT pg_catalog.cardinality({lefts}) + pg_catalog.cardinality({rights}) = (
  SELECT pg_catalog.count(*) FROM pg_trigger AS t
   WHERE t.tgenabled = 'A' AND ((t.tgrelid = {left}::regclass::oid AND t.tgname = ANY ({lefts}))
                                OR (t.tgrelid = {right}::regclass::oid AND t.tgname = ANY ({rights}))))"""


def _witness(mirror: Mirror) -> str:
    """A query for one text that changes when a trigger was ever off, or a row could not be carried since."""
    return _asked(_FACTS, mirror, "side by side")


def _always_on(mirror: Mirror, moment: Moment) -> str:
    """A query: all triggers are there and enabled ALWAYS."""
    return _asked(_ON, mirror, moment)


def _asked(query: LiteralString, mirror: Mirror, moment: Moment) -> str:
    lefts, rights = (list(triggers.trigger_names(mirror, side, moment)) for side in ("left", "right"))
    return (
        sql.SQL(query)
        .format(
            left=sql.Literal(mirror.left.sql.as_string(None)),
            right=sql.Literal(mirror.right.sql.as_string(None)),
            lefts=sql.SQL("CAST({} AS name[])").format(sql.Literal(lefts)),
            rights=sql.SQL("CAST({} AS name[])").format(sql.Literal(rights)),
            notes=mirror.notes.sql,
            passing=passing(),
            functions=sql.SQL("CAST({} AS name[])").format(sql.Literal(function_names(mirror))),
        )
        .as_string(None)
        .strip()
    )
