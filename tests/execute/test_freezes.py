"""A freeze of the project holds up every phase and stage, whatever the specs say, and is lifted in one place."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from tests.scene import Scene

from crossfade.execute.status import status_of

CHRISTMAS = "2026-12-21..2027-01-03"
ADD = "changes: [{add_column: {table: items, column: extra, type: text}}]\n"


@pytest.fixture
def items(scene: Scene) -> Scene:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY)")
    scene.spec(ADD)
    scene.set_clock(datetime(2026, 12, 24, 12, tzinfo=UTC))
    return scene


def freeze(scene: Scene, *dates: str, more: str = "") -> None:
    entries = ", ".join(f"{{dates: {each}, why: Christmas{more}}}" for each in dates)
    (scene.root / "crossfade.yaml").write_text(f"freezes: [{entries}]\n")


def test_nothing_begins_while_the_project_is_frozen_and_it_is_told_why_and_until_when(items: Scene) -> None:
    freeze(items, CHRISTMAS)

    outcome = items.up()

    (waiting,) = outcome.waiting
    assert (outcome.ended, waiting.point, waiting.label) == ("waiting", "before expand", "freeze")
    assert waiting.answer.reason == "frozen until Mon 2027-01-04 00:00 UTC: Christmas"
    assert waiting.answer.holds_at == datetime(2027, 1, 4, tzinfo=UTC)
    assert items.columns("items") == ["id"]


def test_a_freeze_that_comes_later_stops_the_next_phase(items: Scene) -> None:
    items.up(through="expand")
    freeze(items, CHRISTMAS)

    assert [each.point for each in items.up().waiting] == ["before backfill"]


def test_two_freezes_that_meet_are_waited_for_together(items: Scene) -> None:
    freeze(items, "2026-12-20..2026-12-24", "2026-12-25..2026-12-27", "2026-12-30")

    (waiting,) = items.up().waiting

    assert waiting.answer.holds_at == datetime(2026, 12, 28, tzinfo=UTC)


def test_a_freeze_of_another_database_holds_nothing_up(items: Scene) -> None:
    with (items.root / "databases.yaml").open("a") as file:
        file.write("other: {url: env:OTHER_URL}\n")
    freeze(items, CHRISTMAS, more=", databases: [other]")

    assert items.up().ended == "complete"


def test_a_freeze_that_is_lifted_early_is_waited_for_no_longer(items: Scene) -> None:
    freeze(items, CHRISTMAS)
    items.up()
    (frozen,) = status_of(items.project(), [items.migration()])
    (items.root / "crossfade.yaml").write_text("freezes: []\n")
    (lifted,) = status_of(items.project(), [items.migration()])

    assert frozen.waiting[0].holds_at is not None
    assert lifted.waiting[0].holds_at is None
    assert items.up().ended == "complete"
    assert items.ledger().gates("m")[0].state == "holds"


def test_what_was_frozen_goes_on_by_itself_when_the_freeze_is_over(items: Scene) -> None:
    freeze(items, CHRISTMAS)
    assert items.up().ended == "waiting"
    items.set_clock(datetime(2027, 1, 4, tzinfo=UTC))

    assert items.up().ended == "complete"
