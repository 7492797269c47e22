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
    fine = complete.run_job("find_drift")
    complete.scene.sql(BY_HAND)
    drifted = complete.run_job("find_drift", database="app")
    assert fine.is_green
    assert TOLD in drifted.refusal
    assert "crossfade drift --accept" in drifted.refusal


@pytest.mark.parametrize(("job", "config"), [("find_drift", {}), ("accept_drift", {"reason": "r"})])
def test_an_unknown_database_is_refused_in_words(complete: Orchestra, job: str, config: dict[str, str]) -> None:
    played = complete.run_job(job, database="x", **config)
    assert "databases.yaml names no database x" in played.refusal


def test_what_is_accepted_is_drift_no_more_and_the_audit_tells_why(complete: Orchestra) -> None:
    complete.scene.sql(BY_HAND)

    accepted = complete.run_job("accept_drift", database="app", reason="for the slow report, #412")
    found = complete.run_job("find_drift", database="app")

    assert found.is_green
    assert "app: accepted 1 difference\n" + f"  {TOLD}" in accepted.logged
    (event,) = [event for event in complete.scene.ledger().events("-") if event.kind == "drift accepted"]
    assert event.body["because"] == "for the slow report, #412"


def test_drift_is_not_accepted_without_a_reason(complete: Orchestra) -> None:
    complete.scene.sql(BY_HAND)
    assert "drift is accepted for a reason" in complete.run_job("accept_drift", database="app", reason=" ").refusal
    assert TOLD in complete.run_job("find_drift").refusal


def test_the_history_shows_it_as_a_check(complete: Orchestra, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crossfade.orchestrate.surveyed._WITHIN", 60.0)  # the machine may be busy
    complete.scene.sql("UPDATE crossfade.migration SET finished_at = now() - interval '30 days'")
    complete.scene.sql(BY_HAND)
    definitions = complete.definitions()
    (check,) = definitions.resolve_asset_graph().get_check_keys_for_assets({AssetKey(["app", "history"])})
    played = complete.run_job("find_drift")
    assert check.name == "drift"
    assert TOLD in (played.checks["history.drift"].description or "")
    assert not played.checks["history.drift"].passed
    accepted = complete.run_job("accept_drift", database="app", reason="it helps")
    assert accepted.checks["history.drift"].passed


def test_the_weekly_schedule_runs_from_the_beginning(complete: Orchestra) -> None:
    schedule = complete.definitions().resolve_schedule_def("drift_weekly")
    assert schedule.job_name == "find_drift"
    assert schedule.default_status == DefaultScheduleStatus.RUNNING
