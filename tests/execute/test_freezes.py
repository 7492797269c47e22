"""A freeze of the project holds up every phase and stage, whatever the specs say, and is lifted in one place."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests.scene import Scene

from crossfade.execute.status import status_of

ADD = "changes: [{add_column: {table: items, column: extra, type: text}}]\n"


@pytest.fixture
def items(scene: Scene) -> Scene:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY)")
    scene.spec(ADD)
    return scene


def freeze(scene: Scene, *, days: int, more: str = "") -> None:
    today = datetime.now(UTC).date()
    dates = f"{today - timedelta(days=1)}..{today + timedelta(days=days)}"
    (scene.root / "crossfade.yaml").write_text(f"freezes: [{{dates: {dates}, why: Christmas{more}}}]\n")


def test_nothing_begins_while_the_project_is_frozen_and_it_is_told_why_and_until_when(items: Scene) -> None:
    freeze(items, days=3)

    outcome = items.up()

    (waiting,) = outcome.waiting
    end = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=4)
    assert (outcome.ended, waiting.point, waiting.label) == ("waiting", "before expand", "freeze")
    assert waiting.answer.reason == f"frozen until {end:%a %Y-%m-%d} 00:00 UTC: Christmas"
    assert waiting.answer.holds_at == end
    assert items.columns("items") == ["id"]


def test_a_freeze_that_comes_later_stops_the_next_phase(items: Scene) -> None:
    items.up(through="expand")
    freeze(items, days=3)

    assert [each.point for each in items.up().waiting] == ["before backfill"]


def test_two_freezes_that_meet_are_waited_for_together(items: Scene) -> None:
    today = datetime.now(UTC).date()
    spans = [(-1, 0), (1, 2), (5, 6)]
    dates = [f"{today + timedelta(days=first)}..{today + timedelta(days=last)}" for first, last in spans]
    (items.root / "crossfade.yaml").write_text(f"freezes: [{', '.join(f'{{dates: {each}}}' for each in dates)}]\n")

    (waiting,) = items.up().waiting

    assert waiting.answer.holds_at is not None
    assert waiting.answer.holds_at.date() == today + timedelta(days=3)


def test_a_freeze_of_another_database_holds_nothing_up(items: Scene) -> None:
    with (items.root / "databases.yaml").open("a") as file:
        file.write("other: {url: env:OTHER_URL}\n")
    freeze(items, days=3, more=", databases: [other]")

    assert items.up().ended == "complete"


def test_a_freeze_that_is_lifted_early_is_waited_for_no_longer(items: Scene) -> None:
    freeze(items, days=3)
    items.up()
    (frozen,) = status_of(items.project(), [items.migration()])
    (items.root / "crossfade.yaml").write_text("freezes: []\n")
    (lifted,) = status_of(items.project(), [items.migration()])

    assert frozen.waiting[0].holds_at is not None
    assert lifted.waiting[0].holds_at is None
    assert items.up().ended == "complete"
    assert items.ledger().gates("m")[0].state == "holds"
