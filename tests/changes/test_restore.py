"""The old side brought back after contract: old values as they were, or as `down` makes them of what came since."""

from __future__ import annotations

import pytest
from tests.changes.life import spec
from tests.scene import Scene

from crossfade.execute import Notice, Runner, StepStarted

SCHEMA = """
CREATE TABLE items (id int PRIMARY KEY, code text, name text, nick text);
INSERT INTO items VALUES (1, '05', 'Ann', 'a'), (2, '06', 'Bob', NULL)"""
CODE = "change_column: {table: items, column: code, to: {type: int}}"
NAME = "rename_column: {table: items, from: name, to: label}"
NICK = "drop_column: {table: items, column: nick, down: \"'gone'\"}"


@pytest.mark.parametrize("leg", ["archive", "drop"])
def test_a_row_that_was_written_since_keeps_the_old_values_that_were_not(scene: Scene, leg: str) -> None:
    scene.sql(SCHEMA)
    spec(scene, CODE, NAME, NICK)
    scene.up(through=leg)
    scene.sql("UPDATE items SET label = 'Eve' WHERE id = 1")

    scene.rollback()

    assert scene.sql("SELECT * FROM (SELECT id, code, name, nick FROM items) AS old ORDER BY id") == [
        (1, "05", "Eve", "a"),
        (2, "06", "Bob", None),
    ]


@pytest.mark.parametrize("leg", ["archive", "drop"])
@pytest.mark.parametrize("changes", [(CODE, NICK), (NICK,)], ids=["beside others", "alone"])
def test_a_row_that_is_written_while_the_old_side_comes_back_gets_it_through_down(
    scene: Scene, leg: str, changes: tuple[str, ...]
) -> None:
    scene.sql(SCHEMA)
    spec(scene, *changes)
    scene.up(through=leg)
    scene.sql("INSERT INTO items (id) VALUES (3)")

    def write_first(notice: Notice) -> None:
        if isinstance(notice, StepStarted) and notice.step.id.endswith("refill"):
            scene.sql("UPDATE items SET name = 'Eve' WHERE id > 1")

    Runner(scene.project(), write_first).rollback("m")

    assert scene.sql("SELECT id, name, nick FROM items ORDER BY id") == [
        (1, "Ann", "a"),
        (2, "Eve", None),
        (3, "Eve", "gone"),
    ]
