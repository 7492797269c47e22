"""A value that cannot be mapped: the statement succeeds, nothing is lost, and a later write mends the conflict."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from psycopg import errors
from tests.scene import Scene
from tests.steps.conftest import Begin

SCHEMA = """
CREATE TABLE items (id int PRIMARY KEY, code text, size int NOT NULL, note text);
INSERT INTO items SELECT i, 'abc', 1, 'before' FROM generate_series(1, 20) AS i"""
# `code` may hold what `number` cannot; `large` may hold what `size` cannot.
CHANGES = (
    'add_column: {table: items, column: number, type: integer, up: "code::integer", down: {code: "number::text"}}',
    'add_column: {table: items, column: large, type: bigint, up: size, down: {size: "large::integer"}}',
)
_existing, _later = count(1), count(101)


@pytest.fixture(scope="module")
def scene(begin: Begin) -> Scene:
    return begin(SCHEMA, *CHANGES)


@pytest.fixture
def key(scene: Scene) -> int:
    """A row of this test's own, mapped."""
    number = next(_later)
    scene.sql(f"INSERT INTO items (id, code, size) VALUES ({number}, '05', 1)")
    return number


def row(scene: Scene, key: int) -> tuple[Any, ...]:
    return scene.sql(f"SELECT code, number, size, large FROM items WHERE id = {key}")[0]


def conflict(scene: Scene, key: int) -> list[tuple[Any, ...]]:
    return scene.sql(
        "SELECT relation, sqlstate, resolved_at IS NULL FROM crossfade.conflict"
        f" WHERE migration = 'm' AND key = '{{\"id\": {key}}}'"
    )


def test_an_old_update_that_cannot_be_mapped_succeeds_and_empties_the_new_side(scene: Scene, key: int) -> None:
    scene.sql(f"UPDATE items SET code = 'abc' WHERE id = {key}")

    assert row(scene, key) == ("abc", None, 1, 1)
    assert conflict(scene, key) == [("public.items", "22P02", True)]


def test_an_old_insert_that_cannot_be_mapped_succeeds(scene: Scene) -> None:
    number = next(_later)

    scene.sql(f"INSERT INTO items (id, code, size) VALUES ({number}, 'abc', 1)")

    assert row(scene, number) == ("abc", None, 1, 1)
    assert conflict(scene, number) == [("public.items", "22P02", True)]


def test_any_update_of_a_row_not_filled_yet_finds_its_conflict(scene: Scene) -> None:
    number = next(_existing)

    scene.sql(f"UPDATE items SET note = 'x' WHERE id = {number}")

    assert row(scene, number) == ("abc", None, 1, 1)
    assert conflict(scene, number) == [("public.items", "22P02", True)]


def test_a_conflict_holds_the_key_and_the_sqlstate_and_no_value(scene: Scene, key: int) -> None:
    scene.sql(f"UPDATE items SET code = 'a secret' WHERE id = {key}")

    assert scene.one("SELECT count(*) FROM crossfade.conflict AS c WHERE c::text LIKE '%secret%'") == 0
    assert scene.one("SELECT count(*) FROM crossfade.event AS e WHERE e::text LIKE '%secret%'") == 0


@pytest.mark.parametrize("mend", ["code = '7'", "number = 7"], ids=["old", "new"])
def test_a_later_write_of_either_version_mends_the_row(scene: Scene, key: int, mend: str) -> None:
    scene.sql(f"UPDATE items SET code = 'abc' WHERE id = {key}")

    scene.sql(f"UPDATE items SET {mend} WHERE id = {key}")

    assert row(scene, key) == ("7", 7, 1, 1)
    assert conflict(scene, key) == [("public.items", "22P02", False)]


def test_a_row_that_comes_into_conflict_again_is_noted_again(scene: Scene, key: int) -> None:
    for code in ("abc", "7", "99999999999"):
        scene.sql(f"UPDATE items SET code = '{code}' WHERE id = {key}")

    assert conflict(scene, key) == [("public.items", "22003", True)]


def test_a_write_that_is_rolled_back_notes_no_conflict(scene: Scene, key: int) -> None:
    with scene.connect() as application, application.transaction(force_rollback=True):
        application.execute("UPDATE items SET code = 'abc' WHERE id = %s", (key,))

    assert conflict(scene, key) == []


def test_a_new_value_that_cannot_go_down_succeeds_and_leaves_the_old_value(scene: Scene, key: int) -> None:
    scene.sql(f"UPDATE items SET large = 3000000000 WHERE id = {key}")

    assert row(scene, key) == ("05", 5, 1, 3000000000)
    assert conflict(scene, key) == [("public.items", "22003", True)]


@pytest.mark.parametrize("update", ["note = 'x'", "code = '6'", "number = 6"])
def test_a_new_value_that_cannot_go_down_is_not_lost_by_other_updates(scene: Scene, key: int, update: str) -> None:
    scene.sql(f"UPDATE items SET large = 3000000000 WHERE id = {key}")

    scene.sql(f"UPDATE items SET {update} WHERE id = {key}")

    assert row(scene, key)[2:] == (1, 3000000000)
    assert conflict(scene, key) == [("public.items", "22003", True)]


@pytest.mark.parametrize(("mend", "expected"), [("large = 9", (9, 9)), ("size = 8", (8, 8))], ids=["new", "old"])
def test_the_newest_write_wins_where_the_new_value_could_not_go_down(
    scene: Scene, key: int, mend: str, expected: tuple[int, int]
) -> None:
    scene.sql(f"UPDATE items SET large = 3000000000 WHERE id = {key}")

    scene.sql(f"UPDATE items SET {mend} WHERE id = {key}")

    assert row(scene, key)[2:] == expected
    assert conflict(scene, key) == [("public.items", "22003", False)]


def test_a_conflict_in_one_pair_leaves_the_other_pair_as_both_versions_wrote_it(scene: Scene, key: int) -> None:
    scene.sql(f"UPDATE items SET code = '005' WHERE id = {key}")
    scene.sql(f"UPDATE items SET large = 3000000000 WHERE id = {key}")

    scene.sql(f"UPDATE items SET note = 'x' WHERE id = {key}")

    assert row(scene, key)[:2] == ("005", 5)


BOTH = "CF001"


@pytest.mark.parametrize("mend", ["code = '7'", "number = 7", "code = '07', number = 7"])
def test_sides_that_one_update_writes_unlike_each_other_stay_and_are_in_conflict_until_mended(
    scene: Scene, key: int, mend: str
) -> None:
    scene.sql(f"UPDATE items SET code = '8', number = 9 WHERE id = {key}")
    assert row(scene, key)[:2] == ("8", 9)
    scene.sql(f"UPDATE items SET note = 'x' WHERE id = {key}")
    assert conflict(scene, key) == [("public.items", BOTH, True)]

    scene.sql(f"UPDATE items SET {mend} WHERE id = {key}")

    assert row(scene, key)[1] == 7
    assert conflict(scene, key) == [("public.items", BOTH, False)]


def test_an_insert_that_gives_sides_unlike_each_other_is_in_conflict(scene: Scene) -> None:
    number = next(_later)

    scene.sql(f"INSERT INTO items (id, code, number, size) VALUES ({number}, 'abc', 9, 1)")

    assert row(scene, number)[:2] == ("abc", 9)
    assert conflict(scene, number) == [("public.items", BOTH, True)]


def test_a_dual_writer_whose_sides_agree_is_in_no_conflict(scene: Scene, key: int) -> None:
    scene.sql(f"UPDATE items SET code = '008', number = 8, size = 3, large = 3 WHERE id = {key}")

    assert row(scene, key) == ("008", 8, 3, 3)
    assert conflict(scene, key) == []


def test_a_row_is_in_conflict_until_every_pair_is_mended(scene: Scene, key: int) -> None:
    scene.sql(f"UPDATE items SET code = 'abc', large = 3000000000 WHERE id = {key}")

    scene.sql(f"UPDATE items SET large = 9 WHERE id = {key}")
    assert [open_ for *_, open_ in conflict(scene, key)] == [True]

    scene.sql(f"UPDATE items SET code = '9' WHERE id = {key}")
    assert [open_ for *_, open_ in conflict(scene, key)] == [False]
    assert row(scene, key) == ("9", 9, 9, 9)


def test_errors_that_are_not_about_the_value_stay_errors(begin: Begin) -> None:
    function = (
        "CREATE FUNCTION busy(text) RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN RAISE SQLSTATE '40001'; END $$"
    )
    scene = begin(
        f"CREATE TABLE items (id int PRIMARY KEY, code text); {function}",
        "add_column: {table: items, column: number, type: integer, up: busy(code)}",
    )

    with scene.connect() as application, pytest.raises(errors.SerializationFailure):
        application.execute("INSERT INTO items VALUES (1, 'x')")
    assert scene.sql("SELECT * FROM items") == []
