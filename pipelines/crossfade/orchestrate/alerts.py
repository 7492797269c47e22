"""Tells people, by any service that Apprise knows, of runs that failed and of migrations that take long."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dagster import (
    DagsterEventType,
    DagsterRunStatus,
    DefaultSensorStatus,
    RunStatusSensorContext,
    RunStatusSensorDefinition,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
)
from pydantic import TypeAdapter, ValidationError

from crossfade.errors import CrossfadeError
from crossfade.execute.status import MigrationStatus, status_of
from crossfade.orchestrate.drift import FIND_DRIFT
from crossfade.orchestrate.keys import MIGRATION_TAG
from crossfade.report.measures import said_ago
from crossfade.spec import Project

ADDRESSES = "CROSSFADE_ALERTS"  # Apprise URLs, which hold secrets; white space between them
_UNSET = f"nobody is told: {ADDRESSES} is not set"
_Told = TypeAdapter(dict[str, datetime])


@dataclass(frozen=True)
class Slowness:
    """From when on a migration is told of: running its leg, or waiting at the same gates; and after what time again."""

    running: timedelta = timedelta(hours=6)
    waiting: timedelta = timedelta(days=30)
    again: timedelta = timedelta(days=7)


class AlertNotSent(CrossfadeError):
    """A service did not take an alert."""


def alert_sensors(project: Project, slowness: Slowness) -> list[SensorDefinition]:
    """They run unless they are switched off, and tell nobody where no address is set."""

    def alert_of_slow_migrations(context: SensorEvaluationContext) -> SkipReason | SensorResult:
        return _alert_of_slow_migrations(context, project, slowness)

    return [
        RunStatusSensorDefinition(
            "alert_of_failed_runs",
            run_status=DagsterRunStatus.FAILURE,
            run_status_sensor_fn=_alert_of_failed_run,
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


def _alert_of_failed_run(context: RunStatusSensorContext) -> SkipReason | None:
    run = context.dagster_run
    about = "drift" if run.job_name == FIND_DRIFT else run.tags.get(MIGRATION_TAG)
    if about is None:
        return SkipReason("the run is of no migration")
    if not addresses():
        return SkipReason(_UNSET)
    tell(f"{about}: a run failed", f"{_reasons(context)}\n\nDagster run {run.run_id[:8]}")
    return None


def _alert_of_slow_migrations(
    context: SensorEvaluationContext, project: Project, slowness: Slowness
) -> SkipReason | SensorResult:
    if not addresses():
        return SkipReason(_UNSET)
    now = datetime.now(UTC)
    told = {name: at for name, at in _told_before(context.cursor).items() if now - at < slowness.again}
    slow = dict(_slow(status_of(project, project.migrations), slowness, now))
    if new := [name for name in slow if name not in told]:
        tell("migrations that take long", "\n".join(slow[name] for name in new))
    return SensorResult(
        skip_reason="\n".join(slow.values()) or "no migration takes long",
        cursor=_Told.dump_json(told | dict.fromkeys(new, now)).decode(),
    )


def addresses() -> Sequence[str]:
    return os.environ.get(ADDRESSES, "").split()


def tell(title: str, body: str) -> None:
    """Send to every address. Raises AlertNotSent, which does not repeat an address: it holds secrets."""
    from apprise import Apprise, NotifyFormat

    def is_taken(address: str) -> bool:
        service = Apprise(address)
        return bool(len(service) and service.notify(body, title, body_format=NotifyFormat.TEXT))

    failed = [address for address in addresses() if not is_taken(address)]
    if failed:
        raise AlertNotSent(
            f"{len(failed)} of {len(addresses())} addresses in {ADDRESSES} did not take an alert",
            why="an address is not one that Apprise knows, or its service did not answer or refused it",
            fix="try each with Apprise's own command: `apprise --body=test ADDRESS`",
        )


def _reasons(context: RunStatusSensorContext) -> str:
    """What the failed steps said, in the words a user reads."""
    entries = context.instance.all_logs(context.dagster_run.run_id, of_type=DagsterEventType.STEP_FAILURE)
    found = [entry.dagster_event.step_failure_data for entry in entries if entry.dagster_event is not None]
    words = [data.user_failure_data.description for data in found if data.user_failure_data is not None]
    return "\n\n".join(each for each in words if each) or (context.dagster_event.message or "it gave no reason")


def _slow(statuses: Sequence[MigrationStatus], slowness: Slowness, now: datetime) -> Iterator[tuple[str, str]]:
    """What is told once, and its sentence."""
    longest = {"running": slowness.running, "waiting": slowness.waiting}
    for status in statuses:
        if status.since is None or now - status.since < longest.get(status.state, timedelta.max):
            continue
        progress = f", {status.progress:.0%} of its rows done" if status.progress is not None else ""
        waits = f"; waits for {status.waits_for}" if status.waits_for else ""
        blocked = "".join(f"\n  blocked by {blocker}" for blocker in status.blockers)
        began = f"{status.id}: {status.leg} is {status.state}; that began {said_ago(status.since, now)}"
        yield f"{status.id}:{status.leg}:{status.state}", f"{began}{progress}{waits}{blocked}"


def _told_before(cursor: str | None) -> dict[str, datetime]:
    try:
        return _Told.validate_json(cursor or "{}")
    except ValidationError:
        return {}
