"""Tells people, by any service that Apprise knows, of runs that failed and of migrations that take long."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

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
_Told = TypeAdapter(dict[str, dict[str, datetime]])


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
    statuses = status_of(project, project.migrations)
    slow = dict(_slow(statuses, slowness))
    unfinished = {status.id for status in statuses if status.state != "complete"}
    before = _told_before(context.cursor)
    told: dict[str, dict[str, datetime]] = {}
    taken = failed = 0
    for address in addresses():
        known = {name: at for name, at in before.get(_mark(address), {}).items() if name.split(":")[0] in unfinished}
        told[_mark(address)] = known
        new = [
            name for name, each in slow.items() if name not in known or each.asked_at - known[name] >= slowness.again
        ]
        if new and not _is_taken(address, "migrations that take long", "\n".join(slow[name].said for name in new)):
            failed += 1
        else:
            known |= {name: slow[name].asked_at for name in new}
            taken += len(new)
    if failed and not taken:
        raise _not_sent(failed)  # otherwise who has taken it must be kept, and of a tick that fails nothing is
    said = [f"{failed} addresses did not take it; they are tried again"] if failed else []
    return SensorResult(
        skip_reason="\n".join([*said, *(each.said for each in slow.values())]) or "no migration takes long",
        cursor=_Told.dump_json(told).decode(),
    )


def addresses() -> Sequence[str]:
    return os.environ.get(ADDRESSES, "").split()


def tell(title: str, body: str) -> None:
    """Send to every address. Raises AlertNotSent, which does not repeat an address: it holds secrets."""
    if failed := sum(not _is_taken(address, title, body) for address in addresses()):
        raise _not_sent(failed)


def _is_taken(address: str, title: str, body: str) -> bool:
    from apprise import Apprise, NotifyFormat

    service = Apprise(address)
    return bool(len(service) and service.notify(body, title, body_format=NotifyFormat.TEXT))


def _not_sent(failed: int) -> AlertNotSent:
    return AlertNotSent(
        f"{failed} of {len(addresses())} addresses in {ADDRESSES} did not take an alert",
        why="an address is not one that Apprise knows, or its service did not answer or refused it",
        fix="try each with Apprise's own command: `apprise --body=test ADDRESS`",
    )


def _mark(address: str) -> str:
    """Tells a few addresses apart in the cursor, and is too short to find a secret by."""
    return sha256(address.encode()).hexdigest()[:4]


def _reasons(context: RunStatusSensorContext) -> str:
    """What the failed steps said, in the words a user reads."""
    entries = context.instance.all_logs(context.dagster_run.run_id, of_type=DagsterEventType.STEP_FAILURE)
    found = [entry.dagster_event.step_failure_data for entry in entries if entry.dagster_event is not None]
    words = [data.user_failure_data.description for data in found if data.user_failure_data is not None]
    return "\n\n".join(each for each in words if each) or (context.dagster_event.message or "it gave no reason")


@dataclass(frozen=True)
class _Slow:
    """What is told of a migration. asked_at: when it was so, by the clock of its database, as `since` is."""

    said: str
    asked_at: datetime


def _slow(statuses: Sequence[MigrationStatus], slowness: Slowness) -> Iterator[tuple[str, _Slow]]:
    """What is told once, and its sentence."""
    longest = {"running": slowness.running, "waiting": slowness.waiting}
    for status in statuses:
        since, now = status.since, status.asked_at
        if since is None or now is None or now - since < longest.get(status.state, timedelta.max):
            continue
        progress = f", {status.progress:.0%} of its rows done" if status.progress is not None else ""
        waits = f"; waits for {status.waits_for}" if status.waits_for else ""
        blocked = "".join(f"\n  blocked by {blocker}" for blocker in status.blockers)
        began = f"{status.id}: {status.leg} is {status.state}; that began {said_ago(since, now)}"
        yield f"{status.id}:{status.leg}:{status.state}", _Slow(f"{began}{progress}{waits}{blocked}", now)


def _told_before(cursor: str | None) -> dict[str, dict[str, datetime]]:
    """By address, when each was told; nothing of a cursor of another form."""
    try:
        return _Told.validate_json(cursor or "{}")
    except ValidationError:
        return {}
