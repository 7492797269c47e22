"""Each stage of contract waits for its own gates and window, and a pause meets every leg in the middle."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from tests.scene import Scene

from crossfade.execute import Notice, Runner, StepStarted, Waiting

CHANGES = """
changes:
  - rename_column: {table: items, from: name, to: title}
  - change_column: {table: items, column: code, to: {type: text}, up: lower(code), down: code}
"""
STAGES = ["cutover", "retire", "archive", "drop"]
LEGS = ["expand", "backfill", "validate", *STAGES]
SUNDAY = datetime(2031, 5, 4, 10, tzinfo=UTC)
MONDAY_NIGHT = datetime(2031, 5, 5, 3, tzinfo=UTC)
MONDAY = datetime(2031, 5, 5, 10, tzinfo=UTC)


@pytest.fixture
def items(scene: Scene) -> Scene:
    scene.sql("CREATE TABLE items (id bigint PRIMARY KEY, name text, code text)")
    scene.sql("INSERT INTO items VALUES (1, 'Ada', 'A1'), (2, 'Bob', 'B2')")
    scene.sql("CREATE TABLE door AS SELECT false AS is_open")
    return scene


def gated(stage: str, moment: str) -> str:
    stages = [
        f"{each}: {{gates: {{{moment}: [{{sql: SELECT is_open FROM door}}]}}}}" if each == stage else f"{each}: {{}}"
        for each in STAGES
    ]
    return f"{CHANGES}contract: {{stages: [{', '.join(f'{{{each}}}' for each in stages)}]}}\n"


def steps_of(scene: Scene, stage: str) -> int:
    return scene.one(f"SELECT count(*) FROM crossfade.step WHERE leg = '{stage}' AND state <> 'undone'")


@pytest.mark.parametrize("stage", STAGES)
def test_nothing_of_a_stage_is_done_before_its_own_gate_holds(items: Scene, stage: str) -> None:
    items.spec(gated(stage, "before"))

    held = items.up()
    begun = steps_of(items, stage)
    items.sql("UPDATE door SET is_open = true")

    assert (held.ended, [each.point for each in held.waiting], begun) == ("waiting", [f"before {stage}"], 0)
    assert items.up().passed == (*STAGES[STAGES.index(stage) :],)


@pytest.mark.parametrize("stage", STAGES)
def test_nothing_follows_a_stage_before_the_gate_after_it_holds(items: Scene, stage: str) -> None:
    items.spec(gated(stage, "after"))

    held = items.up()
    begun = [each for each in STAGES if steps_of(items, each)]
    items.sql("UPDATE door SET is_open = true")

    assert (held.ended, [each.point for each in held.waiting]) == ("waiting", [f"after {stage}"])
    assert begun == STAGES[: STAGES.index(stage) + 1]
    assert items.up().ended == "complete"


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_waits_for_the_window(items: Scene, stage: str) -> None:
    items.spec(f'{CHANGES}contract: {{window: {{days: mon-thu, hours: "09:00-16:00"}}}}\n')
    items.set_clock(MONDAY)
    items.up(through=LEGS[LEGS.index(stage) - 1])

    waiting: list[Waiting] = []
    for moment in (SUNDAY, MONDAY_NIGHT):
        items.set_clock(moment)
        waiting += items.up().waiting
    items.set_clock(MONDAY)

    assert [(each.point, each.answer.holds_at) for each in waiting] == [
        (f"before {stage}", MONDAY.replace(hour=9)) for _ in range(2)
    ]
    assert items.up().ended == "complete"


@pytest.mark.parametrize("leg", LEGS)
def test_a_pause_in_the_middle_of_a_leg_ends_the_run_and_a_resumed_one_ends_right(items: Scene, leg: str) -> None:
    items.spec(CHANGES + "contract: {stages: [{cutover: {}}, {retire: {}}, {archive: {}}, {drop: {}}]}\n")
    if leg != "expand":
        items.up(through=LEGS[LEGS.index(leg) - 1])

    def pause(notice: Notice) -> None:
        if isinstance(notice, StepStarted) and str(notice.step.leg) == leg and not items.ledger().paused("m"):
            items.ledger().pause("m")

    paused = Runner(items.project(), pause).advance(items.migration())
    nothing = items.up()
    items.ledger().resume("m")

    assert (paused.ended, nothing.ended, nothing.passed) == ("paused", "paused", ())
    assert LEGS.index(leg) >= len(items.ledger().legs("m")) - 1
    assert items.up().ended == "complete"
    assert items.sql("SELECT title, code FROM items ORDER BY id") == [("Ada", "a1"), ("Bob", "b2")]
    assert set(items.columns("items")) == {"id", "title", "code"}
