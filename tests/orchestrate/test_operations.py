"""Advance, pause, resume, rollback and purge from Dagster's launchpad."""

from __future__ import annotations

import pytest
from dagster import DefaultScheduleStatus
from tests.orchestrate.orchestra import FILL, SWAP, Orchestra


def test_a_paused_migration_stops_and_a_resumed_one_goes_on(orchestra: Orchestra) -> None:
    orchestra.scene.spec(FILL)
    orchestra.materialize("expand")

    orchestra.operate("pause", reason="the sale goes on until midnight")
    paused = orchestra.materialize("backfill").materialized
    orchestra.operate("resume", reason="it is over")
    resumed = orchestra.materialize("backfill").materialized

    assert (paused, resumed) == ([], ["backfill"])
    asked = [event for event in orchestra.scene.ledger().events("m") if event.kind in ("paused", "resumed")]
    assert [event.body["reason"] for event in asked] == ["the sale goes on until midnight", "it is over"]


def test_a_migration_is_taken_back_as_far_as_asked(orchestra: Orchestra) -> None:
    before = orchestra.scene.schema()
    orchestra.scene.spec(FILL)
    orchestra.materialize("expand", "backfill", "validate")

    orchestra.operate("roll_back", reason="wrong letters", to="expand")
    kept, green = set(orchestra.scene.ledger().legs("m")), orchestra.green()
    undone = orchestra.operate("roll_back", reason="wrong idea")

    assert (kept, green, orchestra.green()) == ({"expand"}, ["expand"], [])
    assert undone.observations("expand") == [{"note": "expand was taken back.", "reason": "wrong idea"}]
    assert orchestra.scene.schema() == before


@pytest.mark.parametrize(("migration", "words"), [("m", "m has not started"), ("x", "there is no migration x")])
def test_what_is_not_there_is_refused_in_words(orchestra: Orchestra, migration: str, words: str) -> None:
    orchestra.scene.spec(FILL)

    played = orchestra.operate("pause", migration=migration, reason="none")

    assert words in played.refusal


def test_a_migration_is_started_and_taken_as_far_as_its_gates_allow(orchestra: Orchestra) -> None:
    orchestra.scene.spec(SWAP + "gates: {contract: [{soak: 7d}]}\n")

    played = orchestra.operate("advance", reason="reviewed in the pull request")

    assert played.is_green
    assert played.materialized == ["expand", "backfill", "validate"]
    assert any("before cutover: soak 7d" in line for line in played.logged)


def test_a_plan_is_approved_as_the_role_that_dagster_logs_in_with(orchestra: Orchestra) -> None:
    orchestra.scene.spec(SWAP + "gates: {contract: [{approval: {count: 1}}]}\n")
    orchestra.materialize("expand", "backfill", "validate")

    orchestra.operate("approve", reason="reviewed")

    (approval,) = orchestra.scene.ledger().approvals("m")
    assert (approval.approver, approval.reason) == (orchestra.scene.one("SELECT session_user"), "reviewed")
    assert orchestra.materialize("cutover").materialized == ["cutover"]


def test_an_approval_that_would_not_count_is_refused_in_words(orchestra: Orchestra) -> None:
    orchestra.scene.spec(SWAP + "gates: {contract: [{soak: 7d}]}\n")
    orchestra.materialize("expand")

    assert "nobody may override a gate of m" in orchestra.operate("approve", reason="r", override="soak 7d").refusal
    assert "an override needs a reason" in orchestra.operate("approve", reason=" ", override="soak 7d").refusal


def test_a_migration_is_taken_as_far_as_asked(orchestra: Orchestra) -> None:
    orchestra.scene.spec(SWAP)

    orchestra.operate("advance", reason="one step at a time", through="expand")

    assert set(orchestra.scene.ledger().legs("m")) == {"expand"}


def test_old_values_whose_time_is_over_are_dropped(orchestra: Orchestra) -> None:
    orchestra.scene.spec(SWAP + "contract: {stages: [archive: {keep: 1d}, drop: {}]}\n")
    orchestra.materialize()
    orchestra.scene.sql("UPDATE crossfade.archive SET keep_until = now()")

    played = orchestra.run_job("purge_old_values")

    assert played.is_green
    assert orchestra.scene.one("SELECT count(*) FROM crossfade.archive WHERE purged_at IS NULL") == 0


def test_the_nightly_purge_is_off_until_somebody_switches_it_on(orchestra: Orchestra) -> None:
    schedule = orchestra.definitions().resolve_schedule_def("purge_nightly")

    assert (schedule.job_name, schedule.default_status) == ("purge_old_values", DefaultScheduleStatus.STOPPED)
