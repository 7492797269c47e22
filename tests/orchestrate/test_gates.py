"""Gates as blocking checks: shown in Dagster, decided by the engine."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from dagster import AssetCheckSeverity
from tests.orchestrate.orchestra import SWAP, Orchestra

OPEN = "CREATE TABLE door AS SELECT false AS is_open"
DOOR = '{sql: "SELECT is_open FROM door", title: the door is open}'
NEVER = '{sql: "SELECT true WHERE false", title: nonsense}'  # not a row, and never will be


def test_a_gate_that_waits_leaves_the_run_green_and_what_follows_skipped(orchestra: Orchestra) -> None:
    orchestra.scene.spec(SWAP + "gates: {contract: [{soak: 7d}]}\n")

    played = orchestra.materialize()

    assert played.is_green
    assert played.materialized == ["expand", "backfill", "validate"]
    assert played.observed[-1] == "cutover"
    assert played.skipped == ["retire", "archive", "drop"]
    check = played.checks["validate.may_contract"]
    assert (check.passed, check.severity) == (False, AssetCheckSeverity.WARN)
    assert "soak 7d does not hold yet: 7d of 7d are left; may hold at " in (check.description or "")


def test_an_approval_that_is_missing_names_the_job_that_gives_it(orchestra: Orchestra) -> None:
    orchestra.scene.spec(SWAP + "gates: {contract: [{approval: {count: 1}}]}\n")
    orchestra.scene.up(through="validate")
    job = "The job `approve_migration` approves from here."

    missing = orchestra.check("validate", "may_contract").checks["validate.may_contract"]
    orchestra.operate("approve", reason="reviewed")
    given = orchestra.check("validate", "may_contract").checks["validate.may_contract"]

    assert (missing.description or "").endswith(f"somebody has to approve: `crossfade approve m`. {job}")
    assert given.passed
    assert job not in (given.description or "")


def test_a_freeze_of_the_project_leaves_the_run_green_and_is_told(orchestra: Orchestra) -> None:
    orchestra.scene.spec(SWAP + "gates: {contract: [{soak: 0s}]}\n")
    orchestra.scene.up(through="validate")
    (orchestra.scene.root / "crossfade.yaml").write_text("freezes: [{dates: 2026-12-21..2027-01-03}]\n")
    orchestra.scene.set_clock(datetime(2026, 12, 24, tzinfo=UTC))

    played = orchestra.materialize("cutover", checks=False)

    assert played.is_green
    assert played.observed == ["cutover"]
    check = played.checks["validate.may_contract"]
    assert not check.passed
    assert "freeze does not hold yet: frozen until " in (check.description or "")


def test_a_gate_that_will_never_hold_stops_the_run(orchestra: Orchestra) -> None:
    orchestra.scene.spec(SWAP + f"gates: {{contract: [{NEVER}]}}\n")

    played = orchestra.materialize()

    assert not played.is_green
    assert played.materialized == ["expand", "backfill", "validate"]
    assert played.failed == ["validate_may_contract"]
    assert played.checks["validate.may_contract"].severity == AssetCheckSeverity.ERROR


def test_contract_selected_alone_is_refused_by_the_engine(orchestra: Orchestra) -> None:
    orchestra.scene.spec(SWAP + f"gates: {{contract: [{NEVER}]}}\n")
    orchestra.scene.up(through="validate")

    played = orchestra.materialize("cutover", checks=False)

    assert not played.is_green
    assert "a gate that will never hold" in played.refusal
    assert "sql nonsense" in played.refusal
    assert not played.checks["validate.may_contract"].passed
    assert "cutover" not in orchestra.scene.ledger().legs("m")


@pytest.mark.slow
def test_a_suite_that_does_not_hold_is_an_error_and_not_a_matter_of_time(orchestra: Orchestra) -> None:
    (orchestra.scene.root / "validations" / "many.yaml").write_text(
        "suite: many\ntitle: There are many items\ntable: items\n"
        "expectations: [{expect_table_row_count_to_be_between: {min_value: 100}}]\n"
    )
    orchestra.scene.spec(SWAP + "gates: {backfill: [{suite: many}]}\n")

    played = orchestra.materialize()

    assert played.materialized == ["expand"]
    check = played.checks["backfill.backfill_gates"]
    assert (check.passed, check.severity) == (False, AssetCheckSeverity.ERROR)
    page = orchestra.scene.root / ".crossfade" / "reports" / "m.html"
    assert check.metadata["suite report"].value == str(page)
    assert "suite many after backfill: <span" in page.read_text()


def test_gates_after_a_leg_hold_back_its_asset(orchestra: Orchestra) -> None:
    orchestra.scene.sql(OPEN)
    orchestra.scene.spec(SWAP + f"gates: {{backfill: [{DOOR}]}}\n")

    before = orchestra.materialize()
    orchestra.scene.sql("UPDATE door SET is_open = true")
    after = orchestra.materialize("backfill")

    assert (before.materialized, before.checks["backfill.backfill_gates"].passed) == (["expand"], False)
    assert (after.materialized, after.checks["backfill.backfill_gates"].passed) == (["backfill"], True)
    (row,) = after.metadata("backfill")["gates after backfill"].records
    assert (row.data["gate"], row.data["state"]) == ("sql the door is open", "holds")


def test_gates_before_the_first_leg_are_shown_on_its_own_asset(orchestra: Orchestra) -> None:
    orchestra.scene.sql(OPEN)
    orchestra.scene.spec(SWAP + f"gates: {{expand: [{DOOR}]}}\n")

    before = orchestra.materialize()
    orchestra.scene.sql("UPDATE door SET is_open = true")
    after = orchestra.materialize("expand")

    assert (before.is_green, before.materialized, before.checks["expand.may_expand"].passed) == (True, [], False)
    assert (after.materialized, after.checks["expand.may_expand"].passed) == (["expand"], True)


def test_a_check_can_be_run_alone_and_writes_the_answer_to_the_ledger(orchestra: Orchestra) -> None:
    orchestra.scene.sql(OPEN)
    orchestra.scene.spec(SWAP + f"gates: {{contract: [{DOOR}, {{soak: 7d}}]}}\n")
    orchestra.materialize("expand", "backfill", "validate", checks=False)

    played = orchestra.check("validate", "may_contract")

    assert played.is_green
    shown = played.checks["validate.may_contract"].description or ""
    assert "soak 7d does not hold yet" in shown
    assert "sql the door is open was not asked: it reads many rows" in shown
    assert {gate.gate: gate.state for gate in orchestra.scene.ledger().gates("m")} == {"soak 7d": "waits"}


def test_a_check_before_its_time_asks_nothing(orchestra: Orchestra) -> None:
    orchestra.scene.spec(SWAP + f"gates: {{contract: [{NEVER}]}}\n")
    unstarted = orchestra.check("validate", "may_contract").checks["validate.may_contract"]
    orchestra.materialize("expand")

    early = orchestra.check("validate", "may_contract").checks["validate.may_contract"]

    assert (unstarted.passed, unstarted.description) == (False, "m has not started.")
    assert (early.passed, early.severity) == (False, AssetCheckSeverity.WARN)
    assert "it is asked when validate has passed; backfill is next" in (early.description or "")
    assert not orchestra.scene.ledger().gates("m")


def test_a_check_of_gates_that_lie_behind_tells_what_they_answered_then(orchestra: Orchestra) -> None:
    orchestra.scene.sql(OPEN)
    orchestra.scene.sql("UPDATE door SET is_open = true")
    orchestra.scene.spec(SWAP + f"gates: {{contract: [{DOOR}]}}\n")
    orchestra.scene.up(through="cutover")
    orchestra.scene.sql("UPDATE door SET is_open = false")

    played = orchestra.check("validate", "may_contract")

    assert played.checks["validate.may_contract"].passed


@pytest.mark.parametrize(("sqlstate", "again"), [("55P03", True), ("22012", False)])
def test_a_gate_is_asked_again_when_the_database_may_answer_later_and_else_fails_in_words(
    orchestra: Orchestra, sqlstate: str, again: bool
) -> None:
    orchestra.scene.sql(
        "CREATE FUNCTION is_open() RETURNS boolean LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE 'no' USING ERRCODE = '{sqlstate}'; END $$"
    )
    orchestra.scene.spec(SWAP + 'gates: {expand: [{sql: "SELECT is_open()", title: a door}]}\n')

    played = orchestra.materialize("expand")

    assert len(played.retried) == (orchestra.patience.tries if again else 0)
    assert sqlstate in played.refusal


def test_a_stage_waits_as_long_as_the_spec_says(orchestra: Orchestra) -> None:
    orchestra.scene.spec(SWAP + "contract: {stages: [{retire: }, {archive: {after: 7d}}, {drop: }]}\n")

    played = orchestra.materialize()

    assert played.is_green
    assert played.materialized == ["expand", "backfill", "validate", "cutover", "retire"]
    assert not played.checks["retire.may_archive"].passed
