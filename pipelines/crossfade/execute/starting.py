"""How a migration starts: its plan compiled and frozen in the ledger of every database, or the frozen one found."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

import psycopg

from crossfade.catalog.errors import CatalogLocked
from crossfade.catalog.snapshot import read_catalog
from crossfade.changes import Refused
from crossfade.errors import CrossfadeError, Problem
from crossfade.execute.beside import (
    named_tables,
    refuse_held_tables,
    refuse_shown_tables,
    refuse_taken_columns,
    walked_tables,
)
from crossfade.execute.errors import Blocked, SpecEdited
from crossfade.execute.fault import Fault
from crossfade.execute.frozen import thaw
from crossfade.execute.going_on import command_to_go_on
from crossfade.execute.ledgers import readable_ledger, writable_ledger
from crossfade.execute.overview import KnownMigration
from crossfade.execute.session import Sessions, reading, reading_each
from crossfade.ledger import MigrationRecord, install, is_installed
from crossfade.plan import Plan, Target, compile_plan
from crossfade.plan.rights import MISSING_RIGHT
from crossfade.spec import Database, Migration, Project

_PATIENCE, _BETWEEN = 3.0, 0.5  # seconds


def current_plan(project: Project, migration: Migration) -> Plan:
    """The frozen plan of a migration that has started, else one compiled now. Reads only."""
    with _sessions(project) as session:
        record = _read_record(session(migration.head.database), migration.id)
        if record is not None and _is_kept(session, migration, record):
            return thaw(record)
        return _compile(project, migration, session)


def frozen_plan(project: Project, migration: Migration) -> Plan:
    """The plan a started migration goes on by; raises as `frozen_record`."""
    with _sessions(project) as session:
        return thaw(frozen_record(session, migration))


def frozen_record(session: Sessions, migration: Migration) -> MigrationRecord:
    """The row of a started migration; raises Blocked when it has not started, SpecEdited when it may not go on."""
    record = _read_record(session(migration.head.database), migration.id)
    if record is None or record.state == "undone":
        raise _not_started(migration.id)
    if not _is_kept(session, migration, record):
        raise Blocked(
            f"the spec of {migration.id} was edited before anything was done, so its plan is no more",
            fix=f"`crossfade up {migration.id}` plans it anew",
        )
    return record


def plan_to_run(project: Project, migration: Migration) -> Plan:
    """The plan the migration runs by, or would be started with now; `write_everywhere` freezes it. Reads only.

    Raises Blocked when a migration it comes after is not complete or another one holds its tables, SpecEdited when
    something is done and the spec is not the one it started with, Refused for what planning refuses and for rights that
    the role lacks.
    """
    with _sessions(project) as session:
        home = session(migration.head.database)
        record = _read_record(home, migration.id)
        if record is not None and _is_kept(session, migration, record):
            return thaw(record)
        _refuse_unfinished_predecessors(project, migration, session)
        try:
            plan = _compile_beside_others(project, migration, session)
        except Refused:
            # What is refused may be what another runner has done by this spec since we looked: its plan is ours too.
            meanwhile = _read_record(home, migration.id)
            if meanwhile is not None and _is_kept(session, migration, meanwhile):
                return thaw(meanwhile)
            raise
    _refuse_without_rights(plan, migration)
    return plan


def write_everywhere(
    project: Project, plan: Plan, spec_text: str, fault: Fault, let_by: tuple[str, str] | None = None
) -> None:
    """The frozen plan in every ledger that lacks it: a start that was cut off may not have reached all.

    let_by: the issuer, and whom its token named of whoever let this runner start it.
    """
    for name in plan.databases:
        _write(project.databases[name], plan, spec_text, let_by)
        fault("after commit")


def started_record(project: Project, name: str) -> MigrationRecord:
    """The row of a started migration in its own database's ledger, be its spec edited, broken or gone.

    Raises Blocked when it has not started, or why a ledger that might know it could not be asked.
    """
    spec = next((known for known in project.migrations if known.id == name), None)
    likely = [spec.head.database] if spec is not None else []
    unasked: CrossfadeError | None = None
    for database in dict.fromkeys([*likely, *project.databases]):
        try:
            with reading(project.databases[database]) as connection:
                record = _read_record(connection, name)
        except CrossfadeError as error:
            unasked = unasked or error
            continue
        if record is not None and record.state != "undone" and record.plan["databases"][0] == database:
            _refuse_unnamed_databases(project, record)
            return record
    if unasked is not None:
        raise unasked
    if spec is None:
        raise Blocked(
            f"there is no migration {name}",
            why="no spec has that id, and no ledger of this project's databases knows it",
            fix="give the id that stands in its spec under `migration`",
        )
    raise _not_started(name)


def _not_started(name: str) -> Blocked:
    return Blocked(f"{name} has not started", fix=f"`crossfade up {name}` starts it")


def _refuse_unnamed_databases(project: Project, record: MigrationRecord) -> None:
    if unnamed := [name for name in record.plan["databases"] if name not in project.databases]:
        raise Blocked(
            f"{record.id} has also begun in {', '.join(unnamed)}, which databases.yaml does not name",
            fix="name it there again, as it was when the migration started",
        )


def find_record(project: Project, migration: Migration) -> MigrationRecord | None:
    """The migration's row in the ledger of the database that its spec names."""
    with reading(project.databases[migration.head.database]) as connection:
        return _read_record(connection, migration.id)


def _read_record(connection: psycopg.Connection[Any], name: str) -> MigrationRecord | None:
    return readable_ledger(connection).migration(name) if is_installed(connection) else None


def _sessions(project: Project) -> AbstractContextManager[Sessions]:
    return reading_each(project.databases, "crossfade plan")


def _compile(project: Project, migration: Migration, session: Sessions) -> Plan:
    """Raises CatalogLocked when one of its tables stays locked exclusively for longer than short DDL takes."""
    began = time.monotonic()
    while True:
        try:
            return compile_plan(migration, _targets(project, session), project.root, project.settings)
        except CatalogLocked:
            if time.monotonic() - began > _PATIENCE:
                raise
        time.sleep(_BETWEEN)


def _compile_beside_others(project: Project, migration: Migration, session: Sessions) -> Plan:
    """Compile; what another migration is doing to a table is named rather than what it looks like meanwhile."""
    try:
        plan = _compile(project, migration, session)
    except Refused:
        refuse_held_tables(session, migration, named_tables(project, migration))
        raise
    refuse_held_tables(session, migration, walked_tables(plan))
    refuse_shown_tables(session, migration, plan)
    refuse_taken_columns(session, migration, plan)
    return plan


def _refuse_without_rights(plan: Plan, migration: Migration) -> None:
    """A step that is certain to be refused would be found in the middle, with the rest done."""
    problems = [
        Problem(
            hazard.what,
            where=migration.position("changes"),
            why="a step of this migration is certain to be refused for it; nothing was begun",
            fix=hazard.fix,
        )
        for hazard in plan.hazards
        if hazard.code == MISSING_RIGHT
    ]
    if problems:
        raise Refused.of(problems)


def _targets(project: Project, session: Sessions) -> Callable[[str], Target]:
    """Reads the catalog of each database when it is first looked at."""

    @cache
    def open_target(name: str) -> Target:
        connection = session(name)
        said = project.databases[name]
        return Target(name, said.schema, read_catalog(connection), connection, said)

    return open_target


def _write(database: Database, plan: Plan, spec_text: str, let_by: tuple[str, str] | None) -> None:
    with writable_ledger(database, "crossfade start") as ledger:
        install(ledger.connection)
        ledger.start(
            plan.migration,
            title=plan.title,
            owner=plan.owner,
            spec_text=spec_text,
            spec_digest=plan.spec_digest,
            plan=plan.model_dump(mode="json"),
            plan_digest=plan.digest,
            let_by=let_by,
        )


def _is_kept(session: Sessions, migration: Migration, record: MigrationRecord) -> bool:
    """Whether the frozen plan is the one to go on by; raises SpecEdited when it is and the spec is another one.

    Nothing that was done rests on a plan whose first gates did not hold yet: an edited spec is planned anew.
    """
    if record.state == "undone":
        return False
    if migration.digest == record.spec_digest or record.state == "undoing":
        return True
    if is_edited(migration, record, has_begun=_has_begun(session, record)):
        raise _edited(migration, record)
    return False


def is_edited(migration: Migration, record: MigrationRecord | KnownMigration, *, has_begun: bool) -> bool:
    """Something rests on a plan of another spec than this one: it neither goes on nor is planned anew.

    has_begun: in any of its databases. The way back needs no spec.
    """
    return has_begun and migration.digest != record.spec_digest and record.state not in ("undoing", "undone")


def _has_begun(session: Sessions, record: MigrationRecord) -> bool:
    return any(
        is_installed(connection) and readable_ledger(connection).has_begun(record.id)
        for connection in map(session, record.plan["databases"])
    )


def _edited(migration: Migration, record: MigrationRecord) -> SpecEdited:
    changed = difflib.unified_diff(
        record.spec_text.splitlines(), migration.text.splitlines(), "as it started", "as it is now", lineterm="", n=1
    )
    return SpecEdited(
        f"{migration.path.name} was edited after {migration.id} started",
        where=migration.position("migration"),
        why="a spec that has started is frozen: the databases are on the way that was reviewed\n" + "\n".join(changed),
        fix="restore the file; what shall be different goes into a new spec, or `crossfade rollback` this one first",
    )


def _refuse_unfinished_predecessors(project: Project, migration: Migration, session: Sessions) -> None:
    by_id = {known.id: known for known in project.migrations}
    for name in migration.head.after:
        before = by_id.get(name)
        if before is None:
            raise Blocked(
                f"{migration.id} comes after {name}, whose spec cannot be read",
                where=migration.position("after"),
                why="without it nothing tells in which database it must be complete",
                fix="`crossfade check` says what is wrong with it",
            )
        record = _read_record(session(before.head.database), name)
        if record is None or record.state != "complete":
            state, command = "has not started", f"`crossfade up {name}`"
            if record is not None:
                state, command = f"is {record.state}", command_to_go_on(name, record.state, record.undo_to)
            raise Blocked(
                f"{migration.id} comes after {name}, which {state}",
                where=migration.position("after"),
                fix=f"{command} first",
            )
