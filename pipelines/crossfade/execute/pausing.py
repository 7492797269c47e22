"""A person stops a migration after the batch or step at hand, and lets it go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from crossfade.execute.errors import Blocked
from crossfade.execute.ledgers import writable_ledger
from crossfade.execute.starting import started_record
from crossfade.ledger import Ledger
from crossfade.spec import Project


def pause(project: Project, name: str, evidence: Mapping[str, Any] | None = None) -> None:
    """Stop whoever works on the migration. evidence: why and from where, for the event.

    Raises Blocked when there is nothing to stop. A spec that is edited or gone is no reason to refuse: who must
    stop a migration may not have time for that.
    """
    _everywhere(project, name, lambda ledger: ledger.pause(name, evidence))


def resume(project: Project, name: str, evidence: Mapping[str, Any] | None = None) -> None:
    """Let a paused migration go on; `advance` takes it from there."""
    _everywhere(project, name, lambda ledger: ledger.resume(name, evidence))


def _everywhere(project: Project, name: str, write: Callable[[Ledger], None]) -> None:
    """Write to the ledger of each of the migration's databases: a walk asks the one it is in."""
    record = started_record(project, name)
    if record.state == "complete":
        raise Blocked(f"{name} is complete", why="there is nothing that could be paused or go on")
    for database in record.plan["databases"]:
        with writable_ledger(project.databases[database]) as ledger:
            write(ledger)
