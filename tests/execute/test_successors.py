"""A migration on which later ones stand is not taken back under them."""

from __future__ import annotations

import pytest
from tests.scene import Scene

from crossfade.execute import Blocked

ADD = "changes: [{add_column: {table: items, column: extra, type: text}}]\n"
CREATE = "changes: [{create_table: {table: more, columns: [{name: id, type: int}]}}]\n"
INDEX = "changes: [{create_index: {table: items, columns: [extra], name: items_extra}}]\n"


@pytest.fixture
def items(scene: Scene) -> Scene:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY)")
    scene.sql("CREATE TABLE others (id int PRIMARY KEY)")
    scene.spec(ADD, id="first")
    return scene


def events(scene: Scene) -> int:
    return scene.one("SELECT count(*) FROM crossfade.event")


def test_what_a_complete_migration_comes_after_is_not_taken_back_under_it(items: Scene) -> None:
    items.spec(f"after: [first]\n{CREATE}", id="second")
    items.up(id="first")
    items.up(id="second")
    written = events(items)

    with pytest.raises(Blocked, match="second comes after it") as refused:
        items.rollback(id="first")

    assert "`crossfade rollback second`" in str(refused.value.fix)
    assert events(items) == written
    assert items.columns("items") == ["id", "extra"]


def test_tables_on_which_another_began_later_are_left_to_it(items: Scene) -> None:
    items.spec(INDEX, id="second")
    items.up(id="first")
    items.up(id="second")

    with pytest.raises(Blocked, match=r"second began later on public\.items"):
        items.rollback(id="first", to="expand")

    items.rollback(id="second")
    assert items.rollback(id="first").ended == "undone"
    assert items.columns("items") == ["id"]


def test_a_table_that_was_created_is_not_dropped_under_a_later_migration(items: Scene) -> None:
    items.spec(CREATE, id="made")
    items.up(id="made")
    items.spec("changes: [{add_column: {table: more, column: extra, type: text}}]\n", id="second")
    items.up(id="second")

    with pytest.raises(Blocked, match=r"second began later on public\.more"):
        items.rollback(id="made")


def test_later_migrations_of_other_tables_do_not_keep_one_from_being_taken_back(items: Scene) -> None:
    items.spec(ADD.replace("items", "others"), id="second")
    items.up(id="first")
    items.up(id="second")

    assert items.rollback(id="first").ended == "undone"


def test_a_later_migration_that_has_done_nothing_stands_on_nothing(items: Scene) -> None:
    items.spec(f'after: [first]\n{INDEX}gates: {{expand: [{{sql: "SELECT false"}}]}}\n', id="second")
    items.up(id="first")
    assert items.up(id="second").ended == "waiting"

    assert items.rollback(id="first").ended == "undone"
