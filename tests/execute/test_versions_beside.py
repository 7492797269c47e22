"""Migrations under way at the same time, one of which shows a table to both versions by views."""

from __future__ import annotations

import pytest
from tests.scene import Scene

from crossfade.execute.errors import Blocked
from crossfade.execute.status import read_status

TABLES = """
CREATE TABLE users (id int PRIMARY KEY, mail text, name text);
CREATE TABLE orders (id int PRIMARY KEY, note text);
INSERT INTO users VALUES (1, 'Ann@x.org', 'Ann'); INSERT INTO orders VALUES (1, 'N')"""
SHOWN = """changes:
  - change_column: {table: users, column: mail, to: {comment: low}, up: lower(mail), down: mail, strategy: versions}
"""
SWAPPED = "changes:\n  - change_column: {table: users, column: name, to: {comment: low}, up: lower(name), down: name}\n"


def start(scene: Scene, first: str, through: str = "expand") -> None:
    scene.sql(TABLES)
    scene.spec(first, id="first")
    scene.up(id="first", through=through)


@pytest.mark.parametrize(
    "second",
    [
        "changes: [{add_column: {table: users, column: born, type: date}}]\n",
        "changes: [{drop_column: {table: users, column: name}}]\n",
        SWAPPED,
        SHOWN,
    ],
)
def test_a_table_that_versions_see_by_views_is_altered_by_no_other_migration(scene: Scene, second: str) -> None:
    start(scene, SHOWN)
    scene.spec(second, id="second")

    with pytest.raises(Blocked, match=r"public\.users") as refusal:
        scene.up(id="second")

    assert "finish first first" in str(refusal.value.fix)


@pytest.mark.parametrize("first", ["changes: [{add_column: {table: users, column: born, type: date}}]\n", SWAPPED])
def test_a_table_that_another_migration_alters_is_not_shown_by_views(scene: Scene, first: str) -> None:
    start(scene, first + "gates: {contract: [{approval: {from: nobody}}]}\n", through="expand")
    if scene.one("SELECT state FROM crossfade.migration WHERE id = 'first'") != "running":
        pytest.fail("the first is under way no more")
    scene.spec(SHOWN, id="second")

    with pytest.raises(Blocked, match=r"public\.users"):
        scene.up(id="second")


def test_other_tables_new_ones_and_indexes_go_on_meanwhile_and_the_new_version_finds_them(scene: Scene) -> None:
    start(scene, SHOWN, through="validate")
    scene.spec(
        """changes:
  - add_column: {table: orders, column: at, type: date}
  - create_table: {table: letters, columns: [{name: id, type: int}], primary_key: [id]}
  - create_index: {table: users, name: names, columns: [name]}
""",
        id="second",
    )
    assert scene.up(id="second").ended == "complete"
    with scene.connect() as app:
        app.execute("SET search_path = public_first, public")
        found = app.execute("SELECT mail, at FROM users JOIN orders USING (id) LEFT JOIN letters USING (id)").fetchall()
    assert found == [("ann@x.org", None)]
    assert scene.up(id="first").ended == "complete"


def test_two_migrations_show_different_tables_at_the_same_time(scene: Scene) -> None:
    start(scene, SHOWN, through="validate")
    scene.spec(SHOWN.replace("users", "orders").replace("mail", "note"), id="second")

    assert scene.up(id="second", through="validate").ended == "reached"
    with scene.connect() as app:
        app.execute("SET search_path = public_second, public_first, public")
        assert app.execute("SELECT mail, note FROM users JOIN orders USING (id)").fetchall() == [("ann@x.org", "n")]
    assert scene.up(id="first").ended == "complete"
    assert scene.up(id="second").ended == "complete"
    assert scene.own_objects() == []


def test_status_says_where_each_version_looks_up_its_tables(scene: Scene) -> None:
    start(scene, SHOWN)

    (status,) = read_status(scene.project())

    assert [(each.database, each.new, each.old) for each in status.search_paths] == [
        ("app", "public_first, public", "public_before_first, public")
    ]
