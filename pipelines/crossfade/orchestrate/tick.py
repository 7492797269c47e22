"""One look of the sensor at all migrations: which may go on, and what the others wait for."""

from __future__ import annotations

import hashlib
import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import takewhile

import psycopg
from dagster import (
    AssetMaterialization,
    AssetObservation,
    DagsterInstance,
    DagsterRunStatus,
    RunRecord,
    RunRequest,
    RunsFilter,
    SensorResult,
)

from crossfade.errors import CrossfadeError
from crossfade.execute import Lookout, Next
from crossfade.execute.status import MigrationStatus, status_of
from crossfade.orchestrate.broken import key_of, problems_in_words
from crossfade.orchestrate.catch_up import passed_elsewhere, position, taken_back
from crossfade.orchestrate.history import History
from crossfade.orchestrate.keys import LEG_TAG, MIGRATION_TAG, leg_key, migrations_of, run_tags
from crossfade.orchestrate.lost_runs import end_lost_runs
from crossfade.orchestrate.memory import Memory, remembered
from crossfade.plan import Plan
from crossfade.server_words import told
from crossfade.spec import Migration, Project
from crossfade.steps.step import Leg

AT_ONCE = 20  # requests a tick: each takes the daemon a third of a second
_SECONDS = 0.75  # of asking gates a tick, and the questions at hand: the next tick goes on with the others
_QUESTION = 1.0  # seconds that one gate has to answer; one that needs more is asked by a run
_SHARE = 0.05  # of its time a migration's gates are asked at most: a suite reads whole tables
_NEVER_AGAIN = 600.0  # seconds until a gate that will never hold is asked again: a person may have mended it
_FIRST_WAIT, _LONGEST_WAIT = 60.0, 3600.0  # seconds between runs of a leg that did not pass
_NOT_ENDED = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
_LAUNCHED = 1000  # runs that may be under way or queued at a time
_RUNS = 10  # that are looked at: by then the longest wait is reached


class Tick:
    """Looks once. It asks the ledgers in a query a database, and the gates of those that are due."""

    def __init__(self, project: Project, history: History, instance: DagsterInstance, log: logging.Logger) -> None:
        self._project = project
        self._history = history
        self._instance = instance
        self._log = log
        self._lookout = Lookout(project)
        self._under_way: set[str] = set()
        self._requests: list[RunRequest] = []
        self._pending: list[str] = []

    def run(self, cursor: str | None) -> SensorResult:
        """Requests and events for Dagster; with nothing to request, a sentence for each migration that waits."""
        memory = remembered(cursor)
        began = time.time()
        statuses = {status.id: status for status in status_of(self._project, self._project.migrations)}
        self._pending += end_lost_runs(self._instance, statuses)
        self._under_way = _under_way(self._instance)
        self._request_broken(memory)
        with self._lookout:
            self._advance(statuses, memory)
        events = [*self._catch_up(statuses, memory, began)]
        summary = "\n".join([_counts(statuses.values()), *self._pending])
        if not self._requests:
            return SensorResult(skip_reason=summary, cursor=memory.written(), asset_events=events)
        self._log.info(summary)
        return SensorResult(self._requests, cursor=memory.written(), asset_events=events)

    # --- what may go on ------------------------------------------------------------------------------

    def _advance(self, statuses: dict[str, MigrationStatus], memory: Memory) -> None:
        began, is_over = time.monotonic(), False
        queue = _after(self._project.migrations, memory.after)
        memory.after = None
        for migration in queue:
            status = statuses[migration.id]
            if migration.id in self._history:
                self._tell_past(status)
                continue
            if self._gives_back(migration, status):
                continue
            if status.state != "waiting" or status.taken_back_to is not None:
                self._tell_state(status)
                continue
            if len(self._requests) >= AT_ONCE or is_over:
                memory.after = memory.after or migration.id
                self._pending.append(f"{migration.id}: it is looked at in the next tick")
                continue
            self._look(migration, status, memory)
            is_over = time.monotonic() - began > _SECONDS
        memory.ask_again = {question: at for question, at in memory.ask_again.items() if at > time.time()}
        memory.approvals = {name: count for name, count in memory.approvals.items() if count and name in statuses}

    def _gives_back(self, migration: Migration, status: MigrationStatus) -> bool:
        """What a runner that died in a brownout has left hidden: at once, paused, cancelled or failed before or not."""
        if status.leg != "brownout" or status.leg_started is None or status.state not in ("waiting", "paused"):
            return False
        if status.holder is not None or migration.id in self._under_way:
            return False
        try:
            looked = self._lookout.look_for_hidden(migration)
        except (CrossfadeError, psycopg.Error):
            return False  # as everything else of it will say
        if looked is None or looked.leg is None:
            return False
        self._request(migration, looked.plan, looked.leg, self._runs(migration, status))
        return True

    def _look(self, migration: Migration, status: MigrationStatus, memory: Memory) -> None:
        """Ask the gates of the next leg, unless it is known that this is in vain or too early."""
        if (until := _known_wait(status)) is not None:
            self._pending.append(f"{migration.id}: {status.leg} waits until {_moment(until)}: {status.waits_for}")
            return
        question = f"{migration.id}:{status.leg}"
        if migration.id in self._under_way:
            self._pending.append(f"{migration.id}: a run of it has not ended")
            return
        is_approved = status.approvals > memory.approvals.get(migration.id, 0)
        if not is_approved and memory.ask_again.get(question, 0.0) > time.time():
            self._tell_later(migration, status, memory.ask_again[question])
            return
        runs = self._runs(migration, status)
        if runs and runs[0].dagster_run.status == DagsterRunStatus.CANCELED:
            what = f"the last run of {status.leg} was cancelled"
            self._pending.append(f"{migration.id}: {what}; materialize {status.leg} to go on")
            return
        asked_again = _next_try(runs, has_asked=bool(status.waiting))
        if not is_approved and asked_again > time.time():
            memory.ask_again[question] = asked_again
            self._tell_later(migration, status, asked_again)
            return
        memory.approvals[migration.id] = status.approvals
        wait = self._ask(migration, runs)
        if wait is not None:
            memory.ask_again[question] = time.time() + wait
        else:
            memory.ask_again.pop(question, None)

    def _tell_later(self, migration: Migration, status: MigrationStatus, at: float) -> None:
        why = "did not pass in its last run" if status.problem else f"waits for {status.waits_for}"
        self._pending.append(f"{migration.id}: {status.leg} {why}; looked at again {_moment(at)}")

    def _ask(self, migration: Migration, runs: Sequence[RunRecord]) -> float | None:
        """Request the next leg when its gates hold; else the seconds after which they may be asked again.

        A gate that takes long is asked by the run: Dagster ends a tick that takes a minute, and others wait for it.
        """
        began = time.monotonic()
        try:
            looked = self._lookout.look(migration, lambda gate: not gate.lasting, seconds=_QUESTION)
        except CrossfadeError as error:
            self._pending.append(f"{migration.id}: {error}")
            return _FIRST_WAIT
        except psycopg.Error as error:  # of one database, while the others' migrations go on
            self._pending.append(f"{migration.id}: {told(error)}")
            return _FIRST_WAIT
        if looked.leg is not None and not looked.waiting:
            self._request(migration, looked.plan, looked.leg, runs)
            return None
        self._pending.append(_waits(migration, looked))
        never = any(waiting.answer.state == "never" for waiting in looked.waiting)
        return max((time.monotonic() - began) / _SHARE, _NEVER_AGAIN if never else 0.0)

    def _runs(self, migration: Migration, status: MigrationStatus) -> Sequence[RunRecord]:
        """The latest runs of the leg at hand, whoever started them, newest first."""
        tags = {MIGRATION_TAG: migration.id, LEG_TAG: status.leg or ""}
        return self._instance.get_run_records(RunsFilter(tags=tags), limit=_RUNS)

    def _request(self, migration: Migration, plan: Plan, leg: Leg, runs: Sequence[RunRecord]) -> None:
        # A key fires once: it tells the plan, the leg, and after which run this one comes.
        latest = runs[0].dagster_run.run_id[:8] if runs else "first"
        self._requests.append(
            RunRequest(
                run_key=f"{migration.id}:{plan.digest[:16]}:{leg}:{latest}",
                asset_selection=[leg_key(migration, leg)],
                tags=run_tags(migration, leg),
            )
        )

    # --- what else is told ---------------------------------------------------------------------------

    def _request_broken(self, memory: Memory) -> None:
        """A file that cannot be read fails once, so that it is red where people look; again when it says otherwise."""
        shown: dict[str, str] = {}
        for error in self._project.broken:
            key = key_of(error, self._project.root)
            words = problems_in_words(error.problems, self._project.root)
            name, state = key.to_user_string(), hashlib.sha256(words.encode()).hexdigest()[:16]
            if memory.broken.get(name) != state and len(self._requests) < AT_ONCE:
                self._requests.append(RunRequest(run_key=f"{name}:{state}", asset_selection=[key]))
                shown[name] = state
            elif name in memory.broken:
                shown[name] = memory.broken[name]
            self._pending.append(f"{name.removeprefix('broken/')} cannot be read: {error.what}")
        memory.broken = shown

    def _catch_up(
        self, statuses: dict[str, MigrationStatus], memory: Memory, began: float
    ) -> Iterator[AssetMaterialization | AssetObservation]:
        moved: list[tuple[Migration, str]] = []
        for migration in self._project.migrations:
            reached = position(statuses[migration.id]) if migration.id not in self._history else None
            if reached is not None and memory.seen.get(migration.id) != reached:
                moved.append((migration, reached))
        if brought := moved[:AT_ONCE]:
            yield from passed_elsewhere(self._instance, brought)
            yield from taken_back(self._instance, brought, before=began)
            memory.seen |= {migration.id: reached for migration, reached in brought}
        memory.seen = {name: at for name, at in memory.seen.items() if name in statuses}

    def _tell_past(self, status: MigrationStatus) -> None:
        if status.state not in ("complete", "unreachable"):
            what = "it is being taken back" if status.state == "undoing" else f"it is {status.state} again"
            self._pending.append(f"{status.id}: {what}; reload the definitions, which have it in the history")

    def _tell_state(self, status: MigrationStatus) -> None:
        match status.state:
            case "running":
                self._pending.append(f"{status.id}: {status.leg}: {status.holder} works on it")
            case "waiting" | "paused" | "undoing" | "unreachable":
                why = status.waits_for or status.problem or ""
                self._pending.append(f"{status.id}: {status.state}{f': {why}' if why else ''}")
            case _:
                pass


def _after(migrations: Sequence[Migration], first: str | None) -> list[Migration]:
    """All of them, beginning with that one."""
    ids = [migration.id for migration in migrations]
    start = ids.index(first) if first in ids else 0
    return [*migrations[start:], *migrations[:start]]


def _under_way(instance: DagsterInstance) -> set[str]:
    """Migrations with a run that has not ended: one that was launched a moment ago works on its leg before long."""
    runs = instance.get_runs(RunsFilter(statuses=_NOT_ENDED), limit=_LAUNCHED)
    return {migration for run in runs for migration in migrations_of(run)}


def _known_wait(status: MigrationStatus) -> datetime | None:
    """When all gates that have said it may hold, if that is still to come by the clock that they were asked by."""
    times = [gate.holds_at for gate in status.waiting if gate.holds_at is not None]
    return max(times) if times and status.asked_at is not None and max(times) > status.asked_at else None


def _next_try(runs: Sequence[RunRecord], *, has_asked: bool) -> float:
    """A leg that has just failed fails again: a person must mend what is wrong, or it takes a while to pass.

    has_asked: gates did not hold in its last run, which may have asked what takes minutes.
    """
    if not runs:
        return 0.0
    in_vain = (DagsterRunStatus.FAILURE, DagsterRunStatus.SUCCESS) if has_asked else (DagsterRunStatus.FAILURE,)
    ended = [*takewhile(lambda run: run.dagster_run.status in in_vain, runs)]
    pause = _FIRST_WAIT * 2 ** max(len(ended) - 1, 0)
    began, end = runs[0].start_time, runs[0].end_time or 0.0
    if has_asked and began is not None:
        pause = max(pause, (end - began) / _SHARE)
    return end + min(pause, _LONGEST_WAIT)


def _waits(migration: Migration, looked: Next) -> str:
    said = "; ".join(f"{each.label}: {each.answer.reason}" for each in looked.waiting)
    times = [each.answer.holds_at for each in looked.waiting if each.answer.holds_at is not None]
    until = f" until {_moment(max(times))}" if times else ""
    return f"{migration.id}: {looked.leg or 'nothing'} waits{until}: {said or 'it is paused or being undone'}"


def _counts(statuses: Iterable[MigrationStatus]) -> str:
    counted = Counter(status.state for status in statuses)
    return ", ".join(f"{count} {state}" for state, count in sorted(counted.items())) or "no migration"


def _moment(at: datetime | float) -> str:
    moment = at.astimezone(UTC) if isinstance(at, datetime) else datetime.fromtimestamp(at, UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
