"""A gate that could not be asked: again when the server may answer in a moment, at once told when it never will."""

from __future__ import annotations

import time

import pytest
from tests.scene import Scene

from crossfade.gates import GateError, GateUnanswered

GATED = """\
changes: [{add_column: {table: items, column: extra, type: text}}]
gates: {expand: [{sql: "SELECT bool_and(answered(id)) FROM items"}]}
"""


def failing(scene: Scene, sqlstate: str) -> tuple[GateError, float]:
    """What `up` raises when the gate's query ends with this SQLSTATE, and after how many seconds."""
    scene.sql("CREATE TABLE items (id int PRIMARY KEY); INSERT INTO items VALUES (1)")
    scene.sql(
        "CREATE FUNCTION answered(int) RETURNS boolean LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE 'no' USING ERRCODE = '{sqlstate}'; END $$"
    )
    scene.spec(GATED)
    began = time.monotonic()
    with pytest.raises(GateError) as raised:
        scene.up()
    return raised.value, time.monotonic() - began


@pytest.mark.parametrize("sqlstate", ["22P02", "42501", "57014"])
def test_a_question_that_would_fail_again_is_asked_once(scene: Scene, sqlstate: str) -> None:
    error, seconds = failing(scene, sqlstate)

    assert (type(error), error.sqlstate) == (GateError, sqlstate)
    assert seconds < 2
    assert error.fix


@pytest.mark.parametrize("sqlstate", ["08006", "40001", "53300", "55P03", "57P01", "58030"])
def test_a_question_that_may_be_answered_in_a_moment_is_asked_again(scene: Scene, sqlstate: str) -> None:
    error, seconds = failing(scene, sqlstate)

    assert (type(error), error.sqlstate) == (GateUnanswered, sqlstate)
    assert seconds >= 2
    assert error.fix == "run `crossfade up` again when the database answers"
