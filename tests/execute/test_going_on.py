"""What stopped a step is told with the command that goes on: forward, or on the way back."""

from __future__ import annotations

import pytest
from tests.scene import Scene

from crossfade.execute import Blocked, ExecutionFailed
from crossfade.execute.status import read_status

FORWARD = "changes: [{sql: {title: divide, up: SELECT 1/0, down: SELECT 1}}]\n"
BACK = """
changes:
  - sql: {title: divide, up: SELECT 1, down: SELECT 1/0}
  - add_column: {table: items, column: extra, type: text}
"""


@pytest.fixture
def items(scene: Scene) -> Scene:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY)")
    return scene


def test_a_step_that_fails_names_the_command_that_goes_forward(items: Scene) -> None:
    items.spec(FORWARD)

    with pytest.raises(ExecutionFailed) as failed:
        items.up()

    assert "run `crossfade up m` again" in (failed.value.fix or "")


def test_a_step_of_the_undo_that_fails_names_the_rollback(items: Scene) -> None:
    items.spec(BACK)
    items.up()

    with pytest.raises(ExecutionFailed) as failed:
        items.rollback()

    assert "run `crossfade rollback m` again" in (failed.value.fix or "")


def test_a_rollback_that_was_to_stop_at_a_phase_goes_on_no_further_than_that(items: Scene) -> None:
    items.spec(BACK.replace("divide,", "divide, phase: validate,"))
    items.up()

    with pytest.raises(ExecutionFailed) as failed:
        items.rollback(to="expand")
    with pytest.raises(Blocked) as refused:
        items.up()

    (status,) = read_status(items.project())
    for said in (failed.value.fix, refused.value.fix, status.waits_for):
        assert "`crossfade rollback m --to expand`" in (said or "")
