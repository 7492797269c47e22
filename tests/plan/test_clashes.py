"""Changes of one migration that would undo one another's work: refused with what to do, whatever their order."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from tests.changes.life import whole_way
from tests.changes.refusing import refusal
from tests.scene import Scene
from tests.steps.scenes import shared_scenes

from crossfade.server import Server

SCHEMA = """
CREATE TABLE teams (id int PRIMARY KEY, code text UNIQUE, region text);
CREATE TABLE items (id int PRIMARY KEY, name text, age text, gone text, other text);
CREATE TABLE parts (id int PRIMARY KEY, name text, age text, gone text) PARTITION BY RANGE (id);
CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (100)"""
TAKERS = {
    "name": "rename_column: {table: items, from: name, to: nick}",
    "age": "change_column: {table: items, column: age, to: {type: varchar(9)}}",
    "gone": "drop_column: {table: items, column: gone}",
}
NEEDS = {
    "key of an index": "create_index: {table: items, name: i, columns: [other, COLUMN]}",
    "key with an order": "create_index: {table: items, name: i, columns: [{column: COLUMN, order: desc}]}",
    "expression of an index": "create_index: {table: items, name: i, columns: [{expression: 'lower(items.COLUMN)'}]}",
    "include of an index": "create_index: {table: items, name: i, columns: [other], include: [COLUMN]}",
    "where of an index": "create_index: {table: items, name: i, columns: [other], where: COLUMN IS NULL}",
    "check": "add_constraint: {table: items, name: c, check: other <> COLUMN::text}",
    "unique": "add_constraint: {table: items, name: c, unique: [other, COLUMN]}",
    "foreign key": "add_constraint: {table: items, name: c, foreign_key: "
    "{columns: [COLUMN], references: {table: teams, columns: [code]}}}",
    "rule in place": "change_column: {table: items, column: COLUMN, to: {nullable: false}}",
    "check in place": "change_column: {table: items, column: other, to: {check: other <> COLUMN}}",
    "check of a new column": "add_column: {table: items, column: fresh, type: text, check: fresh <> COLUMN}",
}


@pytest.fixture(scope="module")
def scene(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Generator[Scene]:
    with shared_scenes(server, tmp_path_factory) as new_scene:
        made = new_scene()
        made.sql(SCHEMA)
        yield made


@pytest.mark.parametrize("column", TAKERS)
@pytest.mark.parametrize("need", NEEDS)
def test_a_rule_written_before_the_change_that_takes_its_column_away_is_refused(
    scene: Scene, need: str, column: str
) -> None:
    (problem,) = refusal(scene, NEEDS[need].replace("COLUMN", column), TAKERS[column])

    assert f"needs public.items.{column}, which {TAKERS[column].partition(':')[0]} in line 7" in problem.what
    assert problem.where is not None
    assert problem.where.line == 6
    assert "`after` the other" in (problem.fix or "")


FOLLOWING = [need for need, change in NEEDS.items() if change.startswith(("create_index", "add_constraint"))]


@pytest.mark.parametrize("column", TAKERS)
@pytest.mark.parametrize("need", NEEDS)
def test_a_rule_written_after_it_is_refused_too_unless_it_is_made_over_the_new_column(
    scene: Scene, need: str, column: str
) -> None:
    problems = refusal(scene, TAKERS[column], NEEDS[need].replace("COLUMN", column))

    assert bool(problems) == (column != "age" or need not in FOLLOWING)


REFERENCING = {
    "constraint": "add_constraint: {table: items, name: c, foreign_key: "
    "{columns: [other], references: {table: teams, columns: [code]}}}",
    "table": "create_table: {table: notes, columns: [{name: team, type: text}], foreign_keys: "
    "{c: {columns: [team], references: {table: teams, columns: [code]}}}}",
}
PARENTS = {
    "rename": "rename_column: {table: teams, from: code, to: label}",
    "swap": "change_column: {table: teams, column: code, to: {type: varchar(9)}}",
    "drop": "drop_column: {table: teams, column: code}",
}


@pytest.mark.parametrize("parent", PARENTS)
@pytest.mark.parametrize("child", REFERENCING)
@pytest.mark.parametrize("step", [1, -1], ids=["key first", "key last"])
def test_a_foreign_key_to_a_column_that_another_change_takes_away_is_refused(
    scene: Scene, child: str, parent: str, step: int
) -> None:
    (problem,) = refusal(scene, *[REFERENCING[child], PARENTS[parent]][::step])

    assert "needs public.teams.code" in problem.what
    assert problem.fix is not None
    assert "below" not in problem.fix


@pytest.mark.parametrize("step", [1, -1], ids=["key first", "key last"])
def test_a_foreign_key_to_a_key_that_another_change_replaces_is_refused(scene: Scene, step: int) -> None:
    refers = "add_constraint: {table: parts, name: c, foreign_key: {columns: [id], references: {table: teams}}}"
    rekeyed = "replace_key: {table: teams, column: uid, type: uuid, keep: [id]}"

    (problem,) = refusal(scene, *[refers, rekeyed][::step])

    assert "needs the key of public.teams (id), which replace_key in line" in problem.what


def test_a_comment_on_a_column_that_another_change_takes_away_is_refused(scene: Scene) -> None:
    (problem,) = refusal(scene, "set_comment: {table: items, column: age, comment: how old}", TAKERS["age"])

    assert "needs public.items.age" in problem.what


@pytest.mark.parametrize("taker", TAKERS)
@pytest.mark.parametrize("step", [1, -1], ids=["index first", "index last"])
def test_an_index_of_a_partition_is_refused_over_a_column_that_the_whole_table_loses(
    scene: Scene, taker: str, step: int
) -> None:
    index = f"create_index: {{table: part, name: i, columns: [{taker}]}}"

    (problem,) = refusal(scene, *[index, TAKERS[taker].replace("items", "parts")][::step])

    assert f"needs public.part.{taker}" in problem.what


def test_a_check_of_a_filled_column_is_refused_over_a_column_that_another_change_takes_away(scene: Scene) -> None:
    fresh = "add_column: {table: items, column: fresh, type: text, up: other, check: fresh <> name}"

    (problem,) = refusal(scene, fresh, TAKERS["name"])

    assert problem.what == "check reads name, which another change of this migration takes away"


def test_what_stands_in_another_table_does_not_clash(scene: Scene) -> None:
    assert refusal(scene, "create_index: {table: parts, name: i, columns: [name]}", TAKERS["name"]) == ()
    assert refusal(scene, "create_index: {table: part, name: i, columns: [name]}", TAKERS["name"]) == ()


def test_rules_written_below_as_the_refusal_says_are_there_in_the_end(
    server: Server, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with shared_scenes(server, tmp_path_factory) as new_scene:
        lived = whole_way(
            new_scene(),
            SCHEMA,
            TAKERS["name"],
            TAKERS["age"],
            "create_index: {table: items, name: by_nick, columns: [nick], include: [age], where: age IS NOT NULL}",
            "add_constraint: {table: items, name: named, check: nick <> age}",
            "add_constraint: {table: items, name: aged, unique: [age]}",
        )

        assert lived.lines("by_nick", "named", "aged") == [
            "CONSTRAINT named CHECK ((nick <> (age)::text))",
            "ADD CONSTRAINT aged UNIQUE (age)",
            "CREATE INDEX by_nick ON public.items USING btree (nick) INCLUDE (age) WHERE (age IS NOT NULL)",
        ]
