"""Migrations under way at the same time, one of which takes away a column that the other is about."""

from __future__ import annotations

import pytest
from tests.scene import Scene

from crossfade.execute.errors import Blocked

TABLES = """
CREATE TABLE users (id int PRIMARY KEY, mail text, name text);
CREATE INDEX mails ON users (mail);
CREATE TABLE orders (buyer int)"""
RENAMED = "rename_column: {table: users, from: mail, to: email}"
REKEYED = "replace_key: {table: users, column: uid, type: uuid, keep: [id]}"
BOUND_LATE = "add_constraint: {table: users, name: said, check: mail <> '', enforce: contract}"
REFERS = "add_constraint: {table: orders, name: buyers, foreign_key: {columns: [buyer], references: {table: users}}}"


def begin(scene: Scene, first: str, second: str) -> None:
    """The first is under way, up to where both versions live side by side, and the second is written."""
    scene.sql(TABLES)
    scene.spec(f"changes:\n  - {first}\n", id="first")
    scene.up(id="first", through="expand")
    scene.spec(f"changes:\n  - {second}\n", id="second")


@pytest.mark.parametrize(
    ("first", "second", "column"),
    [
        (RENAMED, "create_view: {view: addresses, as: SELECT mail FROM users}", "mail"),
        (RENAMED, "drop_index: {index: mails}", "mail"),
        (RENAMED, "change_column: {table: users, column: mail, to: {default: \"'none'\"}}", "mail"),
        (REKEYED, REFERS, "id"),
    ],
)
def test_nothing_is_made_or_altered_over_a_column_that_another_migration_takes_away(
    scene: Scene, first: str, second: str, column: str
) -> None:
    begin(scene, first, second)

    with pytest.raises(Blocked, match=rf"second is about public\.users\.{column}, which first replaces") as refusal:
        scene.up(id="second")

    assert "finish first first: `crossfade up first`" in str(refusal.value.fix)


def test_a_column_is_not_taken_away_while_another_migration_has_a_rule_to_add_over_it(scene: Scene) -> None:
    begin(scene, BOUND_LATE, RENAMED)

    with pytest.raises(Blocked, match=r"second would replace or drop public\.users\.mail, which first is about"):
        scene.up(id="second")


@pytest.mark.parametrize(
    "second",
    [
        "create_index: {table: users, name: names, columns: [name]}",
        "add_column: {table: users, column: born, type: date}",
    ],
)
def test_what_is_about_other_columns_of_the_table_goes_on_beside_it(scene: Scene, second: str) -> None:
    begin(scene, RENAMED, second)

    assert scene.up(id="second").ended == "complete"
    assert scene.up(id="first").ended == "complete"
