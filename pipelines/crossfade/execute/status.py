"""Where every migration of a project stands: one session and a handful of queries a database, whatever their number."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from crossfade.errors import CrossfadeError
from crossfade.execute.check import said_found
from crossfade.execute.going_on import command_to_go_on
from crossfade.execute.notice import Blocker
from crossfade.execute.overdue import is_overdue
from crossfade.execute.overview import KnownMigration, OpenStep, Overview
from crossfade.execute.overviews import View, read_overviews
from crossfade.execute.starting import is_edited
from crossfade.gates import rests_on_others
from crossfade.ledger import GateRecord
from crossfade.plan import databases_of
from crossfade.spec import Migration, Project, Settings
from crossfade.spec.model import PHASES

State = Literal["not started", "running", "waiting", "paused", "complete", "undoing", "undone", "unreachable"]


@dataclass(frozen=True)
class SearchPaths:
    """Where each version looks up its tables while both see them by views."""

    database: str
    new: str
    old: str


@dataclass(frozen=True)
class MigrationStatus:
    """Where a migration stands.

    leg: the phase or contract stage at hand, or the next one; None when there is none. Of a complete migration, the
    stage its spec ends contract with, where that is not the last there is. phase: the phase it is of.
    leg_started: in its own database, and so in any; None when it has not.
    progress: of the walk at hand, 0 to 1.
    waiting: the gates that did not hold when they were last asked.
    overridden: the gates that were passed because people overrode them.
    waits_for: one sentence; empty when nothing is waited for.
    taken_back_to: the leg that a rollback left it at, until somebody lets it go on.
    since: when what `state` says began, where that is known.
    could_begin: of a contract stage that waits, when the one before it had passed and the soaks were over.
    is_overdue: that is longer ago than `contract.warn_after`.
    lost_holder: who worked on it until their lease ran out: they let go of it when they end in order.
    blockers: who holds the lock it waits for now, or did when it was last tried.
    search_paths: while versions see tables by views.
    kept_until: until when old values are kept aside, the earliest; None when none are.
    approvals: how many were ever given, of any plan and of overrides.
    problem: why it cannot be told, or what a person must look at.
    unasked: why databases of it could not be asked, each with what to do about it.
    asked_at: when its own ledger told this, by that ledger's clock; None when it knows nothing of it.
    """

    id: str
    title: str
    owner: str | None
    databases: tuple[str, ...]
    state: State
    leg: str | None = None
    phase: str | None = None
    leg_started: datetime | None = None
    progress: float | None = None
    waiting: tuple[GateRecord, ...] = ()
    overridden: tuple[GateRecord, ...] = ()
    waits_for: str = ""
    taken_back_to: str | None = None
    since: datetime | None = None
    could_begin: datetime | None = None
    is_overdue: bool = False
    holder: str | None = None
    lost_holder: str | None = None
    blockers: tuple[Blocker, ...] = ()
    search_paths: tuple[SearchPaths, ...] = ()
    kept_until: datetime | None = None
    approvals: int = 0
    problem: str | None = None
    unasked: tuple[CrossfadeError, ...] = ()
    asked_at: datetime | None = None


def read_status(project: Project) -> tuple[MigrationStatus, ...]:
    """The status of each migration in the project's order, then of those that only a ledger still knows.

    A database that does not answer makes its own migrations unreachable and no others.
    """
    views = read_overviews(project, list(project.databases), project.migrations, others=True)
    statuses = (*_statuses(project.migrations, views), *_without_spec(project, views))
    return _all_as_of_now(project, statuses)


def status_of(project: Project, migrations: Sequence[Migration]) -> tuple[MigrationStatus, ...]:
    """The status of each of these migrations of the project."""
    names = dict.fromkeys(name for migration in migrations for name in databases_of(migration))
    statuses = _statuses(migrations, read_overviews(project, list(names), migrations, others=False))
    return _all_as_of_now(project, statuses)


def _all_as_of_now(project: Project, statuses: Iterable[MigrationStatus]) -> tuple[MigrationStatus, ...]:
    specs = {migration.id: migration for migration in project.migrations}
    return tuple(_as_of_now(status, specs.get(status.id), project.settings) for status in statuses)


def _as_of_now(status: MigrationStatus, spec: Migration | None, settings: Settings) -> MigrationStatus:
    """Without the times that rest on freezes which the project no longer has: those gates are to be asked again."""
    waiting = [
        replace(gate, holds_at=None) if rests_on_others(gate.evidence, settings, status.databases) else gate
        for gate in status.waiting
    ]
    overdue = is_overdue(status.could_begin, status.asked_at, spec, settings)
    if (tuple(waiting), overdue) == (status.waiting, status.is_overdue):
        return status  # as most are, and a copy of each takes a quarter of the time of a tick
    return replace(status, waiting=tuple(waiting), is_overdue=overdue)


def _statuses(migrations: Iterable[Migration], views: Mapping[str, View]) -> tuple[MigrationStatus, ...]:
    found: dict[str, MigrationStatus] = {}
    for migration in migrations:
        status = _status(migration, databases_of(migration), views)
        if status.state == "not started":
            status = replace(status, waits_for=_turn(migration, found))
        found[migration.id] = status
    return tuple(found.values())


def _without_spec(project: Project, views: Mapping[str, View]) -> Iterator[MigrationStatus]:
    """Migrations of which a ledger tells and no spec does; each is told by the ledger of its first database."""
    known = {migration.id for migration in project.migrations}
    unreadable = {error.migration for error in project.broken}
    for name, view in views.items():
        if isinstance(view, CrossfadeError):
            continue
        for each in view.migrations.values():
            databases = tuple(each.databases or ())
            if each.id in known or each.state == "undone" or databases[:1] != (name,):
                continue
            note = "its spec cannot be read" if each.id in unreadable else "spec gone from migration_specs/"
            blank = MigrationStatus(each.id, each.title, each.owner, databases, "not started")
            status = _begun(blank, each, view, views)
            yield replace(status, problem="; ".join(filter(None, (note, status.problem))))


def _status(migration: Migration, databases: tuple[str, ...], views: Mapping[str, View]) -> MigrationStatus:
    blank = MigrationStatus(migration.id, migration.head.title, migration.head.owner, databases, "not started")
    home = views[databases[0]]
    if isinstance(home, CrossfadeError):
        return replace(blank, state="unreachable", problem=_in_short(home), unasked=(home,))
    known = home.migrations.get(migration.id)
    if known is None:
        return replace(blank, leg=PHASES[0], phase=PHASES[0])
    status = _begun(blank, known, home, views)
    if known.state == "complete" and known.last_leg == _early_end(migration):
        # Where the spec ends contract early, that is where it stands for good.
        status = replace(status, leg=known.last_leg, phase=_phase(known.last_leg))
    begun = any(migration.id in view.begun for view in views.values() if isinstance(view, Overview))
    if is_edited(migration, known, has_begun=begun):
        return replace(status, problem="the spec was edited after it started")
    return status


def _begun(blank: MigrationStatus, known: KnownMigration, home: Overview, views: Mapping[str, View]) -> MigrationStatus:
    kept_until = _kept_until(blank, views)
    if known.state == "complete" or known.state == "undone":
        return replace(
            blank,
            state=known.state,
            since=known.finished_at,
            kept_until=kept_until,
            lost_holder=known.lost_holder,
            asked_at=known.asked_at,
        )
    mine = [(name, views.get(name, _unnamed(name))) for name in blank.databases]
    steps = [step for _, view in mine for step in _open_steps(view, known.id)]
    unasked = {name: view for name, view in mine if isinstance(view, CrossfadeError)}
    status = replace(
        _unfinished(blank, known, home, steps),
        progress=_share(steps),
        overridden=tuple(gate for gate in home.gates.get(known.id, ()) if gate.state == "holds"),
        search_paths=tuple(
            SearchPaths(each.database, each.new_path, each.old_path) for each in home.versions.get(known.id, ())
        ),
        holder=known.holder,
        kept_until=kept_until,
        lost_holder=known.lost_holder,
        approvals=known.approvals,
        asked_at=known.asked_at,
        blockers=tuple(
            b for _, view in mine if not isinstance(view, CrossfadeError) for b in view.blockers.get(known.id, ())
        ),
        problem="; ".join(f"database {name}: {_in_short(e)}" for name, e in unasked.items()) or None,
        unasked=tuple(unasked.values()),
    )
    if known.holder is None and status.problem is None:
        return replace(status, problem=_refused(known.id, steps) or known.problem)
    return status


def _in_short(why: CrossfadeError) -> str:
    return ": ".join(part for part in (why.what, why.why) if part)


def _unnamed(database: str) -> CrossfadeError:
    return CrossfadeError(
        f"databases.yaml does not name {database}", fix="name it there again, as it was when the migration started"
    )


def _kept_until(blank: MigrationStatus, views: Mapping[str, View]) -> datetime | None:
    mine = [view for name in blank.databases if isinstance(view := views.get(name), Overview)]
    ends = [known.kept_until for view in mine if (known := view.migrations.get(blank.id)) is not None]
    return min((end for end in ends if end is not None), default=None)


def _unfinished(
    blank: MigrationStatus, known: KnownMigration, home: Overview, steps: Collection[OpenStep]
) -> MigrationStatus:
    path, begun = home.paths[known.id], home.legs.get(known.id, {})
    if known.state == "undoing":
        leg = next((leg for leg in reversed(path) if leg in begun), None)
        command = command_to_go_on(known.id, known.state, known.undo_to)
        waits_for = "" if known.holder else f"a runner: {command} finishes it"
        return replace(blank, state="undoing", leg=leg, phase=_phase(leg), waits_for=waits_for)
    leg = next((leg for leg in path if leg not in begun or begun[leg].passed_at is None), None)
    record = begun.get(leg) if leg is not None else None
    moment = "after" if record is not None and record.finished_at is not None else "before"
    passed = [each.passed_at for each in begun.values() if each.passed_at is not None]
    could_begin = None
    if _phase(leg) == "contract" and known.holder is None and passed:
        could_begin = max(passed) + home.soaks[known.id].get(f"before {leg}", timedelta(0))
    started = record.started_at if record is not None else None
    status = replace(blank, leg=leg, phase=_phase(leg), leg_started=started, could_begin=could_begin)
    if known.paused_at is not None:
        waits_for = f"{known.paused_by} to resume it: `crossfade resume {known.id}`"
        return replace(status, state="paused", waits_for=waits_for, since=known.paused_at)
    if known.holder is not None:
        pressure = "; ".join(step.waits_for for step in steps if step.waits_for)
        return replace(status, state="running", waits_for=pressure, since=started)
    if known.undo_to is not None:
        command = command_to_go_on(known.id, known.state)
        waits_for = f"somebody to let it go on: it was taken back to {known.undo_to}; {command} goes on"
        return replace(status, state="waiting", waits_for=waits_for, taken_back_to=known.undo_to)
    gates = tuple(
        gate for gate in home.gates.get(known.id, ()) if gate.state != "holds" and gate.point == f"{moment} {leg}"
    )
    if gates:
        waits_for = "; ".join(f"{gate.gate}: {gate.reason}" for gate in gates)
        since = min(gate.since for gate in gates)
        return replace(status, state="waiting", waiting=gates, waits_for=waits_for, since=since)
    since = started or max(passed, default=None)
    ended = f", which ended at: {step.title}" if (step := next(iter(steps), None)) and step.title else ""
    waits_for = f"a runner: {command_to_go_on(known.id, known.state)} goes on{ended}"
    return replace(status, state="waiting", waits_for=waits_for, since=since)


def _turn(migration: Migration, found: Mapping[str, MigrationStatus]) -> str:
    """What a migration that has not started waits for; those it comes after stand before it in a project."""
    before = [name for name in migration.head.after if name not in found or found[name].state != "complete"]
    if before:
        return f"{', '.join(before)} to be complete"
    return f"a runner: `crossfade up {migration.id}` starts it"


def _early_end(migration: Migration) -> str | None:
    return migration.last_stage if migration.ends_before("drop") else None


def _phase(leg: str | None) -> str | None:
    return leg if leg is None or leg in PHASES else "contract"


def _open_steps(view: View, migration: str) -> tuple[OpenStep, ...]:
    return () if isinstance(view, CrossfadeError) else view.steps.get(migration, ())


def _share(steps: Iterable[OpenStep]) -> float | None:
    walks = [step for step in steps if step.blocks]
    blocks = sum(step.blocks for step in walks)
    return sum(step.blocks_done for step in walks) / blocks if walks else None


def _refused(migration: str, steps: Iterable[OpenStep]) -> str | None:
    return ", ".join(said_found(migration, step.found) for step in steps if step.found) or None
