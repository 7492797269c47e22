"""A run on a Celery worker that somebody cancels ends as cancelled, which nobody runs again."""

from __future__ import annotations

import pytest
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus
from tests.orchestrate.orchestra import FILL, Orchestra

from crossfade.orchestrate.celery_launcher import CancellingCeleryRunLauncher


@pytest.fixture
def launcher(instance: DagsterInstance) -> CancellingCeleryRunLauncher:
    made = CancellingCeleryRunLauncher("dagster", broker="memory://", backend="cache+memory://")
    made.register_instance(instance)
    return made


def run_on_a_worker(orchestra: Orchestra, status: DagsterRunStatus) -> DagsterRun:
    orchestra.scene.spec(FILL)
    job = orchestra.definitions().resolve_implicit_global_asset_job_def()
    return orchestra.instance.create_run_for_job(job, tags={"dagster-celery/task_id": "1"}, status=status)


def status(orchestra: Orchestra, run: DagsterRun) -> DagsterRunStatus:
    found = orchestra.instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status


def test_dagster_is_told_who_ended_a_run(orchestra: Orchestra, launcher: CancellingCeleryRunLauncher) -> None:
    run = run_on_a_worker(orchestra, DagsterRunStatus.STARTED)

    assert launcher.terminate(run.run_id)

    assert status(orchestra, run) == DagsterRunStatus.CANCELING


def test_a_run_that_has_ended_is_left_as_it_is(orchestra: Orchestra, launcher: CancellingCeleryRunLauncher) -> None:
    run = run_on_a_worker(orchestra, DagsterRunStatus.SUCCESS)

    assert not launcher.terminate(run.run_id)

    assert status(orchestra, run) == DagsterRunStatus.SUCCESS
