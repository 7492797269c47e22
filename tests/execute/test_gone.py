"""A table that somebody renames or drops in the middle: what it is called now is said, and there is a way back."""

from __future__ import annotations

import pytest
from tests.scene import Scene

from crossfade.execute import StepRefused

SWAP = """
changes: [{change_column: {table: codes, column: code, to: {type: integer}, up: "code::int", down: "code::text"}}]
"""
LEGS = ["expand", "backfill", "validate", "cutover", "archive", "drop"]


@pytest.fixture
def codes(scene: Scene) -> Scene:
    scene.sql("CREATE TABLE codes (id bigint PRIMARY KEY, code text NOT NULL, note text)")
    scene.sql("INSERT INTO codes SELECT i, i FROM generate_series(1, 100) AS i")
    scene.spec(SWAP)
    return scene


@pytest.mark.parametrize("renaming", ["RENAME TO codes2", "SET SCHEMA elsewhere"])
def test_a_renamed_table_is_named_with_the_way_back_to_its_name(codes: Scene, renaming: str) -> None:
    before = codes.schema()
    codes.up(through="backfill")
    codes.sql("CREATE SCHEMA elsewhere")
    codes.sql(f"ALTER TABLE codes {renaming}")

    with pytest.raises(StepRefused) as forward:
        codes.up()
    with pytest.raises(StepRefused) as back:
        codes.rollback()

    for refused in (forward, back):
        (problem,) = refused.value.problems
        assert "public.codes is called " in problem.what
        assert problem.fix is not None
        assert "CASCADE" not in problem.fix
    assert problem.fix is not None
    codes.sql(problem.fix.partition("(")[2].partition(")")[0])
    codes.rollback()
    codes.sql("DROP SCHEMA elsewhere")
    assert codes.schema() == before


@pytest.mark.parametrize("leg", LEGS)
def test_a_dropped_table_leaves_nothing_of_ours_behind_once_it_is_rolled_back(codes: Scene, leg: str) -> None:
    codes.up(through=leg)
    codes.sql("DROP TABLE codes CASCADE")

    assert codes.rollback().ended == "undone"

    assert codes.own_objects() == []
    assert codes.sql("SELECT relname FROM pg_class WHERE relname LIKE '%archive%' AND relname LIKE '\\_cf%'") == []


def test_a_dropped_table_is_told_when_going_forward(codes: Scene) -> None:
    codes.up(through="backfill")
    codes.sql("DROP TABLE codes CASCADE")

    with pytest.raises(StepRefused, match=r"there is no table public\.codes in "):
        codes.up()


def test_what_was_changed_beside_a_dropped_table_is_taken_back(codes: Scene) -> None:
    codes.sql("CREATE TABLE others (id bigint PRIMARY KEY, code text)")
    codes.spec(SWAP.replace("]", ", {add_column: {table: others, column: more, type: text, up: code}}]"))
    codes.up(through="backfill")
    codes.sql("DROP TABLE codes CASCADE")

    codes.rollback()

    assert codes.columns("others") == ["id", "code"]
    assert codes.own_objects() == []


def test_the_parent_of_a_foreign_key_that_goes_may_have_another_name_by_then(scene: Scene) -> None:
    scene.sql("CREATE TABLE owners (id int PRIMARY KEY)")
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, owned_by int REFERENCES owners)")
    scene.spec("changes: [{drop_column: {table: items, column: owned_by}}]\n")
    scene.up(through="archive")
    scene.sql("ALTER TABLE owners RENAME TO keepers")

    assert scene.up().ended == "complete"
