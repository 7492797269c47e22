"""Pause, resume and rollback from Dagster's launchpad."""

from __future__ import annotations

import pytest
from tests.orchestrate.orchestra import FILL, Orchestra


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
    kept = set(orchestra.scene.ledger().legs("m"))
    undone = orchestra.operate("roll_back", reason="wrong idea")

    assert kept == {"expand"}
    assert undone.observed == ["expand"]
    assert orchestra.scene.schema() == before


@pytest.mark.parametrize(("migration", "words"), [("m", "m has not started"), ("x", "there is no migration x")])
def test_what_is_not_there_is_refused_in_words(orchestra: Orchestra, migration: str, words: str) -> None:
    orchestra.scene.spec(FILL)

    played = orchestra.operate("pause", migration=migration, reason="none")

    assert words in played.refusal
