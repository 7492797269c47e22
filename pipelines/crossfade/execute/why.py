"""What a migration waits for, gate by gate, from its ledger: the answers that hold too, and those not asked yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from crossfade.execute.frozen import thaw
from crossfade.execute.ledgers import readable_ledger
from crossfade.execute.session import reading
from crossfade.execute.status import MigrationStatus, read_status, status_of
from crossfade.gates import State
from crossfade.ledger import GateRecord, Ledger, MigrationRecord, is_installed
from crossfade.plan import gate_of
from crossfade.spec import Migration, Project

_MOST_CONFLICTS = 10_000  # that are counted


@dataclass(frozen=True)
class GateStanding:
    """A gate of the point at hand. state, since, asked_at: None while it was not asked."""

    gate: str
    state: State | None = None
    reason: str = ""
    holds_at: datetime | None = None
    since: datetime | None = None
    asked_at: datetime | None = None


@dataclass(frozen=True)
class Explanation:
    """Why a migration is where it is.

    point: where its next gates stand, `before retire` say; None when none are asked next.
    conflicts: rows that cannot be mapped, by database.
    """

    status: MigrationStatus
    point: str | None = None
    gates: tuple[GateStanding, ...] = ()
    conflicts: Mapping[str, int] = field(default_factory=dict[str, int])


def explain(project: Project, name: str) -> Explanation | None:
    """What is known of migration `name`; None when neither a spec nor a ledger knows it. Asks no gate."""
    spec = next((known for known in project.migrations if known.id == name), None)
    found = status_of(project, _with_predecessors(project, name)) if spec is not None else read_status(project)
    status = next((each for each in found if each.id == name), None)
    if status is None or status.state in ("not started", "complete", "undone", "unreachable"):
        return Explanation(status) if status is not None else None
    with reading(project.databases[status.databases[0]], "crossfade why") as connection:
        ledger = readable_ledger(connection)
        record = ledger.migration(name)
        assert record is not None
        point, gates = _next_gates(ledger, record, status)
    # One that does not answer has been told of with the status.
    asked = status.databases if not status.unasked else ()
    conflicts = {database: _conflicts(project, database, name) for database in asked}
    return Explanation(status, point, gates, {database: count for database, count in conflicts.items() if count})


def _with_predecessors(project: Project, name: str) -> Sequence[Migration]:
    """The migration and those it comes after, which say whether it may start."""
    by_id = {known.id: known for known in project.migrations}
    wanted = [name]
    for each in wanted:
        wanted += [before for before in by_id[each].head.after if before in by_id and before not in wanted]
    return [known for known in project.migrations if known.id in wanted]


def _next_gates(
    ledger: Ledger, record: MigrationRecord, status: MigrationStatus
) -> tuple[str | None, tuple[GateStanding, ...]]:
    if status.state not in ("waiting", "paused") or status.leg is None:
        return None, ()
    leg = ledger.legs(record.id).get(status.leg)
    point = f"{'after' if leg is not None and leg.finished_at is not None else 'before'} {status.leg}"
    records = {each.gate: each for each in ledger.gates(record.id) if each.point == point}
    labels = [gate_of(planned).label for planned in thaw(record).gates_at(point)]
    # What the plan does not have is a freeze of the project.
    return point, tuple(_standing(label, records.get(label)) for label in dict.fromkeys([*labels, *records]))


def _standing(label: str, record: GateRecord | None) -> GateStanding:
    if record is None:
        return GateStanding(label)
    return GateStanding(label, record.state, record.reason, record.holds_at, record.since, record.checked_at)


def _conflicts(project: Project, database: str, migration: str) -> int:
    with reading(project.databases[database], "crossfade why") as connection:
        if not is_installed(connection):
            return 0
        return readable_ledger(connection).count_conflicts(migration, most=_MOST_CONFLICTS)
