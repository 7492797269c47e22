"""Tables that are not there any more under the name the plan knows: somebody renamed, moved or dropped them midway.

Forward neither can be gone on with. On the way back a dropped table has nothing left to take back; a renamed one has,
and must have its name again first. Which it is tells the oid that the ledger noted when a leg began.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import postgast
from postgast import pg_query_pb2 as pg
from psycopg import sql

from crossfade.execute.errors import StepRefused
from crossfade.execute.site import Site
from crossfade.steps.compose import table
from crossfade.steps.step import AnyStep, Autocommit, Ddl, Relation

_NOTED = "tables"  # in the event that a leg began: name -> oid


def present_tables(site: Site, steps: Iterable[AnyStep]) -> dict[str, dict[str, int]]:
    """What the ledger should note of the tables that the steps lock, for the event."""
    named = {str(relation): relation for step in steps for relation in _named(step)}
    found = {name: _oid(site, relation) for name, relation in sorted(named.items())}
    return {_NOTED: {name: oid for name, oid in found.items() if oid is not None}}


def refuse_gone(site: Site, step: AnyStep) -> None:
    """Raises StepRefused when a table that the step is about is not there."""
    for relation in _gone(site, step):
        _refuse_renamed(site, relation)
        raise StepRefused(
            f"{step.title}: there is no table {relation} in {site.name} any more",
            why="somebody dropped it while the migration was under way",
            fix=f"`crossfade rollback {site.migration}` takes back what is left",
        )


def left_to_undo(site: Site, steps: Iterable[AnyStep]) -> Iterator[AnyStep]:
    """The steps, each without what was about a table that was dropped.

    Raises StepRefused when a table has another name now.
    """
    for step in steps:
        gone = _gone(site, step)
        for relation in gone:
            _refuse_renamed(site, relation)
        if not gone:
            yield step
        elif isinstance(step, Ddl):
            yield _without(step, gone)


def _gone(site: Site, step: AnyStep) -> list[Relation]:
    if isinstance(step, Autocommit):  # a person's statements: they know what they are about
        return []
    return [relation for relation in _named(step) if _oid(site, relation) is None]


def _named(step: AnyStep) -> list[Relation]:
    return [held.relation for held in step.locks if not held.of_leaving_key]


def _without(step: Ddl, gone: Collection[Relation]) -> Ddl:
    """What the step does elsewhere: to other tables, and to functions, say, which a DROP TABLE leaves behind."""
    locks = tuple(held for held in step.locks if held.relation not in gone)
    there = [held.relation for held in locks]
    statements = tuple(text for text in step.statements if _still_matters(text, gone, there))
    return step.model_copy(update={"locks": locks, "statements": statements, "guards": (), "witnessed_by": ()})


def _still_matters(statement: str, gone: Collection[Relation], there: Collection[Relation]) -> bool:
    """It is about a table that is there, or takes something away that is no table's."""
    tree = postgast.parse(statement)
    named = [
        Relation(schema_name=node.schemaname, name=node.relname)
        for _, node in postgast.walk(tree)
        if isinstance(node, pg.RangeVar)
    ]
    # As we quote it where it stands for a type or in a literal.
    if any(relation in named or table(relation).as_string(None) in statement for relation in gone):
        return False
    takes_away = tree.stmts[0].stmt.WhichOneof("node") in ("drop_stmt", "delete_stmt")
    return takes_away or any(relation in named for relation in there)


def _refuse_renamed(site: Site, relation: Relation) -> None:
    noted = site.work.execute(
        "SELECT (body -> %(noted)s::text ->> %(name)s::text)::oid FROM crossfade.event"
        " WHERE migration = %(migration)s AND body -> %(noted)s::text ->> %(name)s::text IS NOT NULL"
        " ORDER BY seq DESC LIMIT 1",
        {"noted": _NOTED, "name": str(relation), "migration": site.migration},
    ).fetchone()
    found = (
        noted
        and site.work.execute(
            "SELECT n.nspname, c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
            " WHERE c.oid = %s::oid AND c.relkind IN ('r', 'p')",
            noted,
        ).fetchone()
    )
    if not found:
        return
    now = Relation(schema_name=found[0], name=found[1])
    back: list[sql.Composable] = []
    if now.schema_name != relation.schema_name:
        back.append(sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(table(now), sql.Identifier(relation.schema_name)))
        now = Relation(schema_name=relation.schema_name, name=now.name)
    if now.name != relation.name:
        back.append(sql.SQL("ALTER TABLE {} RENAME TO {}").format(table(now), sql.Identifier(relation.name)))
    raise StepRefused(
        f"{relation} is called {found[0]}.{found[1]} now in {site.name}",
        why="somebody renamed it while the migration was under way, which knows it by its name",
        fix=f"give it its name back ({'; '.join(each.as_string(site.work) for each in back)}), then run"
        f" {site.to_go_on} again",
    )


def _oid(site: Site, relation: Relation) -> int | None:
    row = site.work.execute(
        "SELECT pg_catalog.to_regclass(%s)::oid::bigint", (table(relation).as_string(site.work),)
    ).fetchone()
    return row[0] if row else None
