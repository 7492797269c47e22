"""What goes wrong, in words: tried again when it passes by itself, else said once and without a traceback."""

from __future__ import annotations

import time

import pytest
from tests.orchestrate.orchestra import FILL, Orchestra

from crossfade.ledger import lease
from crossfade.orchestrate import Patience


def test_a_lease_of_another_is_waited_for(orchestra: Orchestra) -> None:
    orchestra.scene.spec(FILL)
    orchestra.scene.up(through="expand")
    with orchestra.scene.connect() as other:
        held = lease.acquire(other, "m", "ada@host pid 7")

        class UntilReleased(Patience):
            def seconds(self, retry: int) -> float:
                lease.release(other, held)
                return 0.05

        orchestra.patience = UntilReleased()
        played = orchestra.materialize("backfill")

    assert played.is_green
    assert played.retried == ["backfill"]


def test_a_lease_that_is_kept_is_told_with_its_holder(orchestra: Orchestra) -> None:
    orchestra.scene.spec(FILL)
    orchestra.scene.up(through="expand")
    with orchestra.scene.connect() as other:
        lease.acquire(other, "m", "ada@host pid 7")

        played = orchestra.materialize("backfill")

    assert not played.is_green
    assert len(played.retried) == orchestra.patience.tries
    assert "ada@host pid 7 works on m now" in played.refusal


def test_a_database_that_is_away_is_tried_again_and_told(orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch) -> None:
    orchestra.scene.spec(FILL)
    monkeypatch.setenv("APP_URL", "postgresql://nobody:S3cret@127.0.0.1:9/app")

    played = orchestra.materialize("expand")

    assert len(played.retried) == orchestra.patience.tries
    assert "database `app` cannot be reached" in played.refusal
    assert "S3cret" not in "\n".join(map(str, orchestra.instance.all_logs(played.result.run_id)))


def test_definitions_load_while_all_databases_are_down(orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch) -> None:
    orchestra.scene.spec(FILL + "gates: {contract: [{soak: 1d}]}\n")
    monkeypatch.setenv("APP_URL", "postgresql://nobody@127.0.0.1:9/app")
    began = time.monotonic()

    assert "drop" in orchestra.assets()
    assert time.monotonic() - began < 2


def test_a_refusal_is_a_failure_with_the_engines_words_and_no_traceback_of_it(orchestra: Orchestra) -> None:
    orchestra.scene.sql("UPDATE items SET name = 'same'")
    orchestra.scene.spec("changes: [{add_constraint: {table: items, name: one_name, unique: [name]}}]\n")

    played = orchestra.materialize()

    assert played.failed == ["validate"]
    assert not played.retried
    assert "that stand in more than one row" in played.refusal
    assert "pipelines/crossfade/execute" not in played.failure


def test_an_edited_spec_is_refused_with_the_difference(orchestra: Orchestra) -> None:
    orchestra.scene.spec(FILL)
    orchestra.materialize("expand")
    orchestra.scene.spec(FILL.replace("upper", "lower"))

    played = orchestra.materialize("backfill")

    assert "m.yaml was edited after m started" in played.refusal
    assert "upper(name)" in played.refusal


def test_a_paused_migration_waits_and_the_run_is_green(orchestra: Orchestra) -> None:
    orchestra.scene.spec(FILL)
    orchestra.materialize("expand")
    orchestra.scene.ledger().pause("m")

    played = orchestra.materialize("backfill", "validate")

    assert played.is_green
    assert played.materialized == []
    assert played.skipped == ["validate"]


def test_the_sql_state_is_told(orchestra: Orchestra) -> None:
    orchestra.scene.spec('changes: [{sql: {up: "SELECT 1 / 0"}}]\n')

    played = orchestra.materialize("expand")

    assert "22012" in played.failure
    assert not played.retried
