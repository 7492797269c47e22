"""The triggers by which a write of one table reaches the other within the writer's statement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import LiteralString, NamedTuple

from crossfade.composing import sql
from crossfade.steps.absorbed import giving_way
from crossfade.steps.absorbed.functions import function_names
from crossfade.steps.absorbed.notes import open_notes
from crossfade.steps.absorbed.tables import Absorbed
from crossfade.steps.compose import record, table, text
from crossfade.steps.conflicts import passing
from crossfade.steps.step import Guard, Relation


class Wanted(NamedTuple):
    """A trigger; condition: behind WHEN. calls: a function of ours."""

    purpose: str
    event: LiteralString
    condition: sql.Composable | None
    calls: str


def of_rows_that_come() -> tuple[Wanted, ...]:
    """On the table that goes: a row that is inserted gets a like."""
    return Wanted("come", "BEFORE INSERT", None, "come"), Wanted("came", "AFTER INSERT", None, "written")


def of_rows(absorbed: Absorbed) -> tuple[Wanted, ...]:
    """On the table that goes: rows that have a like, or ought to."""
    made = sql.Identifier(absorbed.made)
    columns = tuple(absorbed.columns.values())
    changed = sql.SQL("new.{} IS NOT NULL AND {} *<> {}").format(made, record(columns, "new"), record(columns, "old"))
    return (
        Wanted("written", "AFTER UPDATE", changed, "written"),
        Wanted("gone", "AFTER DELETE", sql.SQL("old.{} IS NOT NULL").format(made), "written"),
        Wanted("emptied", "BEFORE TRUNCATE", None, "emptied"),
    )


def of_keys(absorbed: Absorbed) -> tuple[Wanted, ...]:
    """On the kept table: a row goes on knowing its like where that gets another key."""
    return (Wanted("like_moved", "BEFORE UPDATE", _is_moved(absorbed), "like_moved"),)


def of_likes(absorbed: Absorbed) -> tuple[Wanted, ...]:
    """On the kept table, whose other rows they leave alone."""
    columns = tuple(absorbed.columns)
    changed = sql.SQL("{} *<> {}").format(record(columns, "new"), record(columns, "old"))
    return (
        Wanted("taken", "BEFORE INSERT", giving_way.is_no_fill(), "taken"),
        Wanted("noted_moved", "AFTER UPDATE", _is_moved(absorbed), "noted_moved"),
        Wanted("like_written", "AFTER UPDATE", changed, "like_written"),
        Wanted("like_gone", "AFTER DELETE", giving_way.is_other(), "like_written"),
        Wanted("likes_emptied", "AFTER TRUNCATE", None, "likes_emptied"),
    )


def _is_moved(absorbed: Absorbed) -> sql.Composable:
    key = (absorbed.key.name,)
    return sql.SQL("{} *<> {}").format(record(key, "new"), record(key, "old"))


def on(absorbed: Absorbed, relation: Relation, wanted: Sequence[Wanted]) -> tuple[str, ...]:
    """Statements that install them. relation: the table, as it is called then."""
    return text(*_on(absorbed, relation, wanted))


def _on(absorbed: Absorbed, relation: Relation, wanted: Sequence[Wanted]) -> Iterator[sql.Composable]:
    for each in wanted:
        name = sql.Identifier(absorbed.own(each.purpose))
        when = sql.SQL("") if each.condition is None else sql.SQL(" WHEN ({})").format(each.condition)
        yield sql.SQL("CREATE OR REPLACE TRIGGER {} {} ON {} FOR EACH {}{} EXECUTE FUNCTION {}()").format(
            name,
            sql.SQL(each.event),
            table(relation),
            sql.SQL("STATEMENT" if each.event.endswith("TRUNCATE") else "ROW"),
            when,
            absorbed.function(each.calls),
        )
        # Rows that come by logical replication or under session_replication_role are carried too.
        yield sql.SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}").format(table(relation), name)


def off(absorbed: Absorbed, relation: Relation, wanted: Sequence[Wanted]) -> tuple[str, ...]:
    drop = sql.SQL("DROP TRIGGER IF EXISTS {} ON {}")
    return text(*(drop.format(sql.Identifier(absorbed.own(each.purpose)), table(relation)) for each in wanted))


_FACTS = """
SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', kind, oid, version, enabled), ',' ORDER BY kind, oid) FROM (
  SELECT 'trigger' AS kind, t.oid, t.xmin::text AS version, t.tgenabled::text AS enabled
    FROM pg_trigger AS t
   WHERE t.tgrelid IN ({left}::regclass::oid, {right}::regclass::oid) AND t.tgname = ANY ({triggers})
  UNION ALL
  SELECT 'conflict', 0::oid, c.id::text, NULL FROM ({open}) AS c
  UNION ALL
  SELECT 'function', f.oid, f.xmin::text, NULL FROM pg_proc AS f
   WHERE f.proname = ANY ({functions}) AND f.pronamespace = 'crossfade'::regnamespace::oid) AS facts"""
_ON = """
SELECT {count} = (
  SELECT pg_catalog.count(*) FROM pg_trigger AS t
   WHERE t.tgenabled = 'A' AND t.tgrelid IN ({left}::regclass::oid, {right}::regclass::oid)
     AND t.tgname = ANY ({triggers}))"""


def witness(absorbed: Absorbed) -> str:
    """A query for one text that changes when a trigger was ever off, or a row could not be carried since."""
    return _asked(absorbed, _FACTS)


def guard(absorbed: Absorbed) -> Guard:
    refusal = f"a trigger that keeps {absorbed.shown} in step is missing, disabled or not enabled ALWAYS"
    return Guard(query=_asked(absorbed, _ON), refusal=refusal)


def _asked(absorbed: Absorbed, query: LiteralString) -> str:
    wanted = (*of_rows_that_come(), *of_rows(absorbed), *of_keys(absorbed), *of_likes(absorbed))
    lasting = sql.SQL("sqlstate NOT IN ({})").format(passing())
    return (
        sql.SQL(query)
        .format(
            left=sql.Literal(table(absorbed.left).as_string(None)),
            right=sql.Literal(table(absorbed.right).as_string(None)),
            count=sql.Literal(len(wanted)),
            triggers=sql.SQL("CAST({} AS name[])").format(sql.Literal([absorbed.own(e.purpose) for e in wanted])),
            functions=sql.SQL("CAST({} AS name[])").format(sql.Literal(function_names(absorbed))),
            open=open_notes(absorbed, "id", lasting),
        )
        .as_string(None)
        .strip()
    )
