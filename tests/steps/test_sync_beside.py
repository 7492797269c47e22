"""A mapping reads a column beside its pair, which both versions write: a write of that does not tell who wrote."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from tests.scene import Scene
from tests.steps.conftest import Begin

SCHEMA = """
CREATE TABLE items (id int PRIMARY KEY, amount int, rate numeric NOT NULL);
INSERT INTO items SELECT i, 7, 3 FROM generate_series(1, 20) AS i"""
CHANGE = (
    'add_column: {table: items, column: total, type: numeric, up: "amount * rate",'
    ' down: {amount: "round(total / rate)::int"}}'
)
_existing, _later = count(1), count(101)


@pytest.fixture(scope="module")
def scene(begin: Begin) -> Scene:
    return begin(SCHEMA, CHANGE)


@pytest.fixture
def key(scene: Scene) -> int:
    """A row of this test's own, mapped."""
    number = next(_later)
    scene.sql(f"INSERT INTO items (id, amount, rate) VALUES ({number}, 7, 3)")
    return number


def row(scene: Scene, key: int) -> tuple[Any, ...]:
    return scene.sql(f"SELECT amount, rate::float, total::float FROM items WHERE id = {key}")[0]


@pytest.mark.parametrize(
    ("wrote", "rate", "expected"),
    [
        ("amount = 33", 4, (33, 4, 132)),
        ("total = 100", 4, (25, 4, 100)),
        ("total = 100", 3.01, (33, 3.01, 100)),
    ],
    ids=["the new side of the old one", "the old side of the new one", "the old side of the new one, and stays"],
)
def test_the_side_that_was_made_of_the_other_is_made_again(
    scene: Scene, key: int, wrote: str, rate: float, expected: tuple[Any, ...]
) -> None:
    scene.sql(f"UPDATE items SET {wrote} WHERE id = {key}")

    scene.sql(f"UPDATE items SET rate = {rate} WHERE id = {key}")

    assert row(scene, key) == expected


@pytest.mark.parametrize(("wrote", "expected"), [("amount = 10", (10, 4, 40)), ("total = 100", (25, 4, 100))])
def test_a_version_that_writes_it_with_its_own_side_is_known_by_that(
    scene: Scene, key: int, wrote: str, expected: tuple[Any, ...]
) -> None:
    scene.sql(f"UPDATE items SET {wrote}, rate = 4 WHERE id = {key}")

    assert row(scene, key) == expected
    assert scene.one(f"SELECT count(*) FROM crossfade.conflict WHERE key = '{{\"id\": {key}}}'") == 0


def test_a_row_that_is_not_filled_yet_goes_up(scene: Scene) -> None:
    key = next(_existing)

    scene.sql(f"UPDATE items SET rate = 4 WHERE id = {key}")

    assert row(scene, key) == (7, 4, 28)


def test_a_new_value_that_could_not_go_down_is_not_written_over(scene: Scene, key: int) -> None:
    scene.sql(f"UPDATE items SET rate = 0 WHERE id = {key}")
    scene.sql(f"UPDATE items SET total = 100 WHERE id = {key}")

    scene.sql(f"UPDATE items SET rate = 4 WHERE id = {key}")

    assert row(scene, key) == (7, 4, 100)
    assert scene.one(f"SELECT resolved_at IS NULL FROM crossfade.conflict WHERE key = '{{\"id\": {key}}}'")


HIDDEN = (
    "SELECT format('SELECT %I FROM items WHERE id = 1', attname) FROM pg_attribute"
    " WHERE attrelid = 'items'::regclass AND attname LIKE '%\\_old\\_%' AND NOT attisdropped"
)
SWAPPED = """
CREATE TABLE items (id int PRIMARY KEY, code text, other int, note text); INSERT INTO items VALUES (1, '05', 2)"""
RENAMED = "rename_column: {table: items, from: note, to: remark}"  # so that rows are compared once more, at retire


@pytest.mark.parametrize(
    ("up", "down", "expected"),
    [("code::int", "lpad(code::text, other, '0')", "05"), ("code::int * other", "(code / other)::text", "2")],
    ids=["where the sides agree still", "or follows"],
)
def test_once_the_new_side_alone_is_written_the_old_one_stays_as_it_was(
    begin: Begin, up: str, down: str, expected: str
) -> None:
    change = f'change_column: {{table: items, column: code, to: {{type: integer}}, up: "{up}", down: "{down}"}}'
    scene = begin(SWAPPED, change, RENAMED, through="cutover")

    scene.sql("UPDATE items SET other = 4 WHERE id = 1")

    assert scene.one(scene.one(HIDDEN)) == expected
    assert scene.up(through="retire").ended == "reached"
