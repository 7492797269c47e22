"""A person stops a migration after the batch or step at hand, and lets it go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

from psycopg import errors

from crossfade.execute.errors import Blocked
from crossfade.execute.session import open_session
from crossfade.execute.starting import find_record
from crossfade.ledger import Ledger, LedgerError
from crossfade.spec import Migration, Project


def pause(project: Project, migration: Migration, evidence: Mapping[str, Any] | None = None) -> None:
    """Stop whoever works on the migration. evidence: why and from where, for the event.

    Raises Blocked when there is nothing to stop. An edited spec is no reason to refuse: who must stop a migration may
    not have time for that.
    """
    _everywhere(project, migration, lambda ledger: ledger.pause(migration.id, evidence))


def resume(project: Project, migration: Migration, evidence: Mapping[str, Any] | None = None) -> None:
    """Let a paused migration go on; `advance` takes it from there."""
    _everywhere(project, migration, lambda ledger: ledger.resume(migration.id, evidence))


def _everywhere(project: Project, migration: Migration, write: Callable[[Ledger], None]) -> None:
    """Write to the ledger of each of the migration's databases: a walk asks the one it is in."""
    record = find_record(project, migration)
    if record is None or record.state == "undone":
        raise Blocked(f"{migration.id} has not started", fix=f"`crossfade up {migration.id}` starts it")
    if record.state == "complete":
        raise Blocked(f"{migration.id} is complete", why="there is nothing that could be paused or go on")
    for name in record.plan["databases"]:
        with closing(open_session(project.databases[name], "crossfade")) as connection:
            try:
                write(Ledger(connection))
            except errors.InsufficientPrivilege:
                role = project.databases[name].role or connection.info.user
                raise LedgerError.unwritable(role, name) from None
