"""Drift is told in Dagster: by a job that fails, a check on the history, and an alert."""

from __future__ import annotations

import pytest
from dagster import AssetKey, DefaultScheduleStatus
from tests.orchestrate.orchestra import FILL, Orchestra

BY_HAND = "CREATE INDEX by_hand ON items (name)"
TOLD = "index by_hand on public.items: was created"


@pytest.fixture
def complete(orchestra: Orchestra) -> Orchestra:
    orchestra.scene.spec(FILL)
    orchestra.scene.up()
    return orchestra


def test_the_job_fails_where_there_is_drift_and_names_it(complete: Orchestra) -> None:
    fine = complete.run_job("find_drift", "compare")
    complete.scene.sql(BY_HAND)
    drifted = complete.run_job("find_drift", "compare", database="app")
    assert fine.is_green
    assert TOLD in drifted.refusal
    assert "crossfade drift --accept" in drifted.refusal


def test_an_unknown_database_is_refused_in_words(complete: Orchestra) -> None:
    played = complete.run_job("find_drift", "compare", database="x")
    assert "databases.yaml names no database x" in played.refusal


def test_the_history_shows_it_as_a_check(complete: Orchestra, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crossfade.orchestrate.history._WITHIN", 60.0)  # the machine may be busy
    complete.scene.sql("UPDATE crossfade.migration SET finished_at = now() - interval '30 days'")
    complete.scene.sql(BY_HAND)
    definitions = complete.definitions()
    (check,) = definitions.resolve_asset_graph().get_check_keys_for_assets({AssetKey(["app", "history"])})
    played = complete.run_job("find_drift", "compare")
    assert check.name == "drift"
    assert TOLD in (played.checks["history.drift"].description or "")
    assert not played.checks["history.drift"].passed


def test_the_weekly_schedule_runs_from_the_beginning(complete: Orchestra) -> None:
    schedule = complete.definitions().resolve_schedule_def("drift_weekly")
    assert schedule.job_name == "find_drift"
    assert schedule.default_status == DefaultScheduleStatus.RUNNING
