"""The command line and Dagster run by one ledger: either goes on where the other stopped."""

from __future__ import annotations

from tests.orchestrate.orchestra import FILL, SWAP, Orchestra


def test_the_command_line_goes_on_where_dagster_stopped(orchestra: Orchestra) -> None:
    orchestra.scene.spec(SWAP)
    orchestra.materialize("expand", "backfill")

    outcome = orchestra.scene.up()

    assert (outcome.ended, outcome.passed[0]) == ("complete", "validate")


def test_dagster_goes_on_where_the_command_line_stopped(orchestra: Orchestra) -> None:
    orchestra.scene.spec(SWAP)
    orchestra.scene.up(through="validate")

    played = orchestra.materialize("cutover", "retire", "archive", "drop")

    assert played.is_green
    assert orchestra.scene.up().ended == "complete"


def test_dagster_goes_on_in_the_middle_of_a_leg_that_was_killed(orchestra: Orchestra) -> None:
    orchestra.scene.sql("INSERT INTO items SELECT i, 'Name ' || i FROM generate_series(4, 20000) AS i")
    orchestra.scene.spec(FILL)
    orchestra.scene.up(through="expand")
    killed = orchestra.scene.start_process(fault="after commit:3", through="backfill")
    assert killed.ending().killed
    orchestra.scene.sql("UPDATE crossfade.migration SET lease_until = now()")  # it would end in half a minute

    played = orchestra.materialize("backfill")

    assert played.is_green
    assert orchestra.scene.one("SELECT count(*) FROM items WHERE code IS DISTINCT FROM upper(name)") == 0


def test_a_leg_that_has_passed_is_materialized_without_doing_anything(orchestra: Orchestra) -> None:
    orchestra.scene.spec(FILL)
    orchestra.scene.up(through="backfill")
    events = orchestra.scene.one("SELECT count(*) FROM crossfade.event")

    played = orchestra.materialize("expand", "backfill")

    assert played.materialized == ["expand", "backfill"]
    assert played.metadata("backfill")["rows"] == 3
    assert "nothing was done now" in played.metadata("backfill")["note"]
    assert orchestra.scene.one("SELECT count(*) FROM crossfade.event") == events


def test_a_migration_that_was_undone_may_start_again(orchestra: Orchestra) -> None:
    orchestra.scene.spec(SWAP)
    orchestra.materialize("expand", "backfill")
    orchestra.scene.rollback()

    assert "expand is next" in orchestra.materialize("backfill").refusal
    assert orchestra.materialize("expand", "backfill").is_green
