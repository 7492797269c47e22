"""Tells people of runs that failed and of migrations that take long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dagster import (
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    DefaultSensorStatus,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
)

from crossfade.execute.status import MigrationStatus, status_of
from crossfade.orchestrate.drift import FIND_DRIFT
from crossfade.orchestrate.keys import MIGRATION_TAG
from crossfade.orchestrate.telling import ADDRESSES, News, addresses, mark_of, tell, told_before
from crossfade.report.measures import said_ago
from crossfade.spec import Project

_UNSET = f"nobody is told: {ADDRESSES} is not set"
_TOLD_FOR = timedelta(days=1)  # what failed before is no news
_FAILURES = 100  # the latest that are looked at


@dataclass(frozen=True)
class Slowness:
    """From when on a migration is told of: running its leg, or waiting at the same gates; and after what time again."""

    running: timedelta = timedelta(hours=6)
    waiting: timedelta = timedelta(days=30)
    again: timedelta = timedelta(days=7)


def alert_sensors(project: Project, slowness: Slowness) -> list[SensorDefinition]:
    """They run unless they are switched off, and tell nobody where no address is set."""

    def alert_of_slow_migrations(context: SensorEvaluationContext) -> SkipReason | SensorResult:
        return _alert_of_slow_migrations(context, project, slowness)

    return [
        SensorDefinition(
            name="alert_of_failed_runs",
            evaluation_fn=_alert_of_failed_runs,
            description=f"Tells the addresses in {ADDRESSES} of each failed run of a migration, with its reason, and of"
            " drift.",
            default_status=DefaultSensorStatus.RUNNING,
            minimum_interval_seconds=30,
        ),
        SensorDefinition(
            name="alert_of_slow_migrations",
            evaluation_fn=alert_of_slow_migrations,
            description=f"Tells the addresses in {ADDRESSES} of migrations that run or wait for long.",
            default_status=DefaultSensorStatus.RUNNING,
            minimum_interval_seconds=300,
        ),
    ]


# --- runs that failed --------------------------------------------------------------------------------


def _alert_of_failed_runs(context: SensorEvaluationContext) -> SkipReason | SensorResult:
    """No sensor of Dagster's own for this: those move on when an address does not take it, and tell it never."""
    if not addresses():
        return SkipReason(_UNSET)
    now = datetime.now(UTC)
    failed = {run.run_id[:8]: run for run in _failed_runs(context, now - _TOLD_FOR)}
    before = told_before(context.cursor)
    # An address that is new is told of what fails from now on.
    before |= {mark: dict.fromkeys(failed, now) for mark in map(mark_of, addresses()) if mark not in before}
    unknown = {name for name in failed if any(name not in known for known in before.values())}
    news = {name: News(_failure(context.instance, failed[name]), now) for name in failed if name in unknown}
    kept = {mark: {name: at for name, at in known.items() if name in failed} for mark, known in before.items()}

    def titled(names: Sequence[str]) -> str:
        return f"{_about(failed[names[0]])}: a run failed" if len(names) == 1 else f"{len(names)} runs failed"

    return tell(news, kept, titled, again=timedelta.max, nothing="no run has failed")


def _failed_runs(context: SensorEvaluationContext, since: datetime) -> list[DagsterRun]:
    """Of migrations and of drift, oldest first; of this code location, for another one has sensors of its own."""
    here = context.code_location_origin.location_name if context.code_location_origin else None
    failures = RunsFilter(statuses=[DagsterRunStatus.FAILURE], updated_after=since)
    runs = context.instance.get_runs(failures, limit=_FAILURES)
    return [run for run in reversed(runs) if _location(run) == here and _about(run) is not None]


def _location(run: DagsterRun) -> str | None:
    origin = run.remote_job_origin
    return origin.repository_origin.code_location_origin.location_name if origin is not None else None


def _about(run: DagsterRun) -> str | None:
    return "drift" if run.job_name == FIND_DRIFT else run.tags.get(MIGRATION_TAG)


def _failure(instance: DagsterInstance, run: DagsterRun) -> str:
    """What the failed steps said, in the words a user reads."""
    entries = instance.all_logs(run.run_id, of_type={DagsterEventType.STEP_FAILURE, DagsterEventType.RUN_FAILURE})
    events = [entry.dagster_event for entry in entries if entry.dagster_event is not None]
    steps = [event.step_failure_data for event in events if event.event_type == DagsterEventType.STEP_FAILURE]
    words = [step.user_failure_data.description for step in steps if step.user_failure_data is not None]
    said = "\n\n".join(each for each in words if each) or (events[-1].message if events else None)
    return f"{said or 'it gave no reason'}\n\nDagster run {run.run_id[:8]} of {_about(run)}"


# --- migrations that take long -----------------------------------------------------------------------


def _alert_of_slow_migrations(
    context: SensorEvaluationContext, project: Project, slowness: Slowness
) -> SkipReason | SensorResult:
    if not addresses():
        return SkipReason(_UNSET)
    statuses = status_of(project, project.migrations)
    unfinished = {status.id for status in statuses if status.state != "complete"}
    before = {
        mark: {name: at for name, at in known.items() if name.split(":")[0] in unfinished}
        for mark, known in told_before(context.cursor).items()
    }
    return tell(
        dict(_slow(statuses, slowness)),
        before,
        lambda _names: "migrations that take long",
        again=slowness.again,
        nothing="no migration takes long",
    )


def _slow(statuses: Sequence[MigrationStatus], slowness: Slowness) -> Iterator[tuple[str, News]]:
    """What is told once, and its sentence; when it was so goes by the clock of its database, as `since` does."""
    longest = {"running": slowness.running, "waiting": slowness.waiting}
    for status in statuses:
        since, now = status.since, status.asked_at
        if since is None or now is None or now - since < longest.get(status.state, timedelta.max):
            continue
        progress = f", {status.progress:.0%} of its rows done" if status.progress is not None else ""
        waits = f"; waits for {status.waits_for}" if status.waits_for else ""
        blocked = "".join(f"\n  blocked by {blocker}" for blocker in status.blockers)
        began = f"{status.id}: {status.leg} is {status.state}; that began {said_ago(since, now)}"
        yield f"{status.id}:{status.leg}:{status.state}", News(f"{began}{progress}{waits}{blocked}", now)
