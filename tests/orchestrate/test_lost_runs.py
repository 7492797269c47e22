"""A run whose process is gone does not stay green for ever, nor keep its migration back."""

from __future__ import annotations

import logging
import time

import pytest
from dagster import DagsterRun, DagsterRunStatus, EventLogEntry
from tests.orchestrate.orchestra import FILL, Orchestra
from tests.orchestrate.test_sensor import asked_for, requests, said

from crossfade.ledger import lease

RAN_OUT = "UPDATE crossfade.migration SET lease_until = now() - interval '1 second'"


@pytest.fixture
def started(orchestra: Orchestra) -> DagsterRun:
    """A run of backfill that the sensor requested, and that Dagster believes to go on."""
    orchestra.scene.spec(FILL)
    orchestra.scene.up(through="expand")
    (request,) = requests(orchestra.tick())
    job = orchestra.definitions().resolve_implicit_global_asset_job_def()
    return orchestra.instance.create_run_for_job(job, tags=request.tags, status=DagsterRunStatus.STARTED)


def status(orchestra: Orchestra, run: DagsterRun) -> DagsterRunStatus:
    found = orchestra.instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status


def test_a_run_that_renews_its_lease_goes_on(orchestra: Orchestra, started: DagsterRun) -> None:
    with orchestra.scene.connect() as other:
        lease.acquire(other, "m", f"Dagster run {started.run_id}")

        orchestra.tick()

    assert status(orchestra, started) == DagsterRunStatus.STARTED


def test_a_run_whose_lease_ran_out_is_failed_and_its_leg_requested_again(
    orchestra: Orchestra, started: DagsterRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    with orchestra.scene.connect() as other:
        lease.acquire(other, "m", f"Dagster run {started.run_id}")
    orchestra.scene.sql(RAN_OUT)

    tick = orchestra.tick()
    monkeypatch.setattr("crossfade.orchestrate.tick._FIRST_WAIT", 0.0)
    later = orchestra.tick()

    assert status(orchestra, started) == DagsterRunStatus.FAILURE
    assert "was marked as failed: its lease on the migration ran out" in said(tick)
    assert asked_for(later) == ["app/m/backfill"]


def test_a_run_that_is_cancelled_after_its_process_was_gone_is_not_run_again(
    orchestra: Orchestra, started: DagsterRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    with orchestra.scene.connect() as other:
        lease.acquire(other, "m", f"Dagster run {started.run_id}")
    orchestra.scene.sql(RAN_OUT)
    orchestra.instance.report_run_canceling(started)

    tick = orchestra.tick()
    monkeypatch.setattr("crossfade.orchestrate.tick._FIRST_WAIT", 0.0)
    later = orchestra.tick()

    assert status(orchestra, started) == DagsterRunStatus.CANCELED
    assert "was marked as cancelled, as somebody had asked for" in said(tick)
    assert "the last run of backfill was cancelled; materialize backfill to go on" in said(later)


def test_a_run_that_has_no_lease_is_given_time(
    orchestra: Orchestra, started: DagsterRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    orchestra.instance.report_engine_event("Started process for run.", started)

    orchestra.tick()
    soon = status(orchestra, started)
    monkeypatch.setattr("crossfade.orchestrate.lost_runs._SILENT", -1.0)
    tick = orchestra.tick()

    assert (soon, status(orchestra, started)) == (DagsterRunStatus.STARTED, DagsterRunStatus.FAILURE)
    assert "it holds no lease and has said nothing" in said(tick)


@pytest.mark.parametrize("said_last_in", ["the leg", "a check"])
def test_a_run_that_died_before_it_told_that_its_leg_had_passed_is_failed_soon(
    orchestra: Orchestra, started: DagsterRun, monkeypatch: pytest.MonkeyPatch, said_last_in: str
) -> None:
    (step,) = step_keys(orchestra, "backfill") if said_last_in == "the leg" else ["app__m__backfill_is_asked"]
    orchestra.instance.handle_new_event(entry(started, step))
    with orchestra.scene.connect() as other:
        held = lease.acquire(other, "m", f"Dagster run {started.run_id}")
        lease.release(other, held)
    monkeypatch.setattr("crossfade.orchestrate.lost_runs._UNTOLD", -1.0)

    orchestra.tick()
    not_passed = status(orchestra, started)
    orchestra.scene.up(through="backfill")
    tick = orchestra.tick()

    assert not_passed == DagsterRunStatus.STARTED
    if said_last_in == "a check":
        assert status(orchestra, started) == DagsterRunStatus.STARTED
    else:
        assert status(orchestra, started) == DagsterRunStatus.FAILURE
        told = [str(each.dagster_event) for each in orchestra.instance.all_logs(started.run_id)]
        assert any("gone: backfill has passed, and it has not told so" in each for each in told)
        assert asked_for(tick) == ["app/m/validate"]


def step_keys(orchestra: Orchestra, leg: str) -> list[str]:
    """What Dagster calls the step of that leg."""
    job = orchestra.definitions().resolve_implicit_global_asset_job_def()
    names = [node.name for node in job.nodes]
    return [name for name in names if name.endswith(f"__{leg}")]


def entry(run: DagsterRun, step: str) -> EventLogEntry:
    """What a step of a run has logged now."""
    return EventLogEntry(None, logging.INFO, "a step is done", run.run_id, time.time(), step, run.job_name)
