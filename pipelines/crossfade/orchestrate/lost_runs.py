"""Runs that Dagster believes to go on while their process is gone: with its machine, or with its code location.

Dagster's own launcher does not look after a run that it has started. The ledger knows: whoever works on a migration
renews a lease, and lets go of it when they end in order.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, EventLogEntry, RunsFilter

from crossfade.execute.status import MigrationStatus
from crossfade.orchestrate.keys import LEG_TAG, holder_of, migrations_of, step_of
from crossfade.spec.model import PHASES, STAGES

_IN_ORDER = (*PHASES[:3], *STAGES)  # legs, of whichever plan
_GOING_ON = [DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
_SILENT = 900.0  # seconds: longer than a run waits between two tries, and than one question of a gate takes
_UNTOLD = 120.0  # seconds: longer than it takes a run to read the catalog for what it tells of a leg that has passed
_LOOKED_AT = 100  # runs a tick


def end_lost_runs(instance: DagsterInstance, statuses: Mapping[str, MigrationStatus]) -> Iterator[str]:
    """Report these runs as failed, which lets Dagster retry them and the sensor request others; a sentence for each.
    One that somebody has cancelled meanwhile is reported as cancelled, and stays so.

    Should one live after all, the lease keeps it and its successor from working at the same time.
    """
    for record in instance.get_run_records(RunsFilter(statuses=_GOING_ON), limit=_LOOKED_AT):
        run = record.dagster_run
        status = statuses.get(min(migrations_of(run), default=""))
        if status is None or status.holder == holder_of(run.run_id):
            continue
        if status.lost_holder == holder_of(run.run_id):
            why = "its lease on the migration ran out without being renewed"
        elif status.state == "unreachable":
            continue
        else:
            last = _last_sign(instance, run)
            silent = time.time() - (last.timestamp if last is not None else 0.0)
            if silent > _SILENT:
                why = f"it holds no lease and has said nothing for {_SILENT / 60:.0f} minutes"
            elif silent > _UNTOLD and last is not None and _is_in_passed_leg(run, last, status):
                why = f"{run.tags[LEG_TAG]} has passed, and it has not told so for {_UNTOLD / 60:.0f} minutes"
            else:
                continue
        words = (
            f"The process of this run is gone: {why}. What it has done is in the ledger; the next run goes on there."
        )
        if run.status == DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, words)
            yield f"{status.id}: run {run.run_id[:8]} was marked as cancelled, as somebody had asked for: {why}"
        else:
            instance.report_run_failed(run, words)
            yield f"{status.id}: run {run.run_id[:8]} was marked as failed: {why}"


def _last_sign(instance: DagsterInstance, run: DagsterRun) -> EventLogEntry | None:
    """Its latest event."""
    records = instance.get_records_for_run(run.run_id, limit=1, ascending=False).records
    return records[0].event_log_entry if records else None


def _is_in_passed_leg(run: DagsterRun, last: EventLogEntry, status: MigrationStatus) -> bool:
    """It has told last of a leg that is over, and so has only to say so. A check after it may ask gates for long."""
    leg = run.tags.get(LEG_TAG)
    if leg not in _IN_ORDER or last.step_key != step_of(status.databases[0], status.id, leg):
        return False
    if status.state == "complete":
        return True
    return status.leg in _IN_ORDER and _IN_ORDER.index(status.leg) > _IN_ORDER.index(leg)
