"""Migrations that are under way on the same tables: which of them a new one would meet, and how."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from crossfade.execute.errors import Blocked
from crossfade.execute.frozen import thaw
from crossfade.execute.going_on import command_to_go_on
from crossfade.execute.ledgers import readable_ledger
from crossfade.execute.session import Sessions
from crossfade.ledger import MigrationRecord, is_installed
from crossfade.plan import Plan
from crossfade.plan.plan import Columns
from crossfade.spec import Migration, Project
from crossfade.steps.step import Copy, Walk

Place = tuple[str, str]  # database, schema.table


def named_tables(project: Project, migration: Migration) -> set[Place]:
    """Those that the changes name."""
    found: set[Place] = set()
    for entry in migration.changes:
        body = entry.body.model_dump(include={"table", "database"})
        database = body.get("database") or migration.head.database
        if table := body.get("table"):
            found.add((database, f"{project.databases[database].schema}.{table}"))
    return found


def walked_tables(plan: Plan) -> set[Place]:
    """Those whose rows it reads or writes in batches."""
    walked = (step for step in plan.steps if isinstance(step, Walk | Copy))
    found = {(step.database, str(lock.relation)) for step in walked for lock in step.locks}
    return found | {(step.of.source, str(step.of.relation)) for step in plan.steps if isinstance(step, Copy)}


def refuse_held_tables(session: Sessions, migration: Migration, mine: set[Place]) -> None:
    """Two migrations that both map columns of one table would meet in its triggers."""
    for record, plan in _others(session, migration, {database for database, _ in mine}):
        if shared := mine & (walked_tables(plan) | _shown_tables(plan)):
            raise Blocked(
                f"{migration.id} changes rows of {_named(shared)}, which {record.id} is changing now",
                why="both would map the same rows, and neither plan knows of the other's columns",
                fix=_finish(record),
            )


def refuse_shown_tables(session: Sessions, migration: Migration, plan: Plan) -> None:
    """What both versions see by views of their own keeps its shape from before these are made until they are gone."""
    altered, shown = _altered_tables(plan), _shown_tables(plan)
    for record, other in _others(session, migration, {database for database, _ in altered | shown}):
        if shared := altered & _shown_tables(other):
            raise Blocked(
                f"{migration.id} alters {_named(shared)}, which {record.id} shows to both versions by views",
                why="the views have the columns of their plan, and neither version would see what is altered now",
                fix=_finish(record),
            )
        if shared := shown & _altered_tables(other):
            raise Blocked(
                f"{migration.id} would show {_named(shared)} to both versions by views, and {record.id} alters it now",
                why="the views would have columns that are on their way, under names that do not last",
                fix=_finish(record),
            )


def refuse_taken_columns(session: Sessions, migration: Migration, plan: Plan) -> None:
    """What is made over a column that another one takes the place of would go with it, or keep it from going; and what
    is carried over to the new one has to be there when its turn comes.
    """
    takes, needs = _places(plan.takes), _places(plan.needs)
    for record, other in _others(session, migration, {database for database, *_ in takes | needs}):
        if shared := needs & _places(other.takes):
            raise Blocked(
                f"{migration.id} is about {_listed(shared)}, which {record.id} replaces or drops",
                why="what is made over the old column goes with it, and what is over it now is carried over as it was",
                fix=_finish(record),
            )
        if shared := takes & _places(other.needs):
            raise Blocked(
                f"{migration.id} would replace or drop {_listed(shared)}, which {record.id} is about",
                why="what that one has still to do names the column as it is",
                fix=_finish(record),
            )


def _others(
    session: Sessions, migration: Migration, databases: Iterable[str]
) -> Iterator[tuple[MigrationRecord, Plan]]:
    """The other migrations under way in these databases, with their plans."""
    for name in sorted(databases):
        connection = session(name)
        for record in readable_ledger(connection).migrations() if is_installed(connection) else ():
            if record.id != migration.id and record.state in ("running", "undoing"):
                yield record, thaw(record)


def _shown_tables(plan: Plan) -> set[Place]:
    return {(each.database, str(table)) for each in plan.versions for table in each.tables}


def _altered_tables(plan: Plan) -> set[Place]:
    locks = ((step.database, lock) for step in plan.steps for lock in step.locks)
    return {
        (database, str(lock.relation))
        for database, lock in locks
        if lock.mode == "ACCESS EXCLUSIVE" and not lock.of_leaving_key
    }


def _places(columns: Iterable[Columns]) -> set[tuple[str, str, str, bool]]:
    return {(each.database, str(each.relation), name, each.as_key) for each in columns for name in each.names}


def _listed(columns: Iterable[tuple[str, str, str, bool]]) -> str:
    return ", ".join(sorted({f"{table}.{name}" for _, table, name, _ in columns}))


def _named(places: Iterable[Place]) -> str:
    return ", ".join(sorted(table for _, table in places))


def _finish(record: MigrationRecord) -> str:
    return f"finish {record.id} first: {command_to_go_on(record.id, record.state, record.undo_to)}"
