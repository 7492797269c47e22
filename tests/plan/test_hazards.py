"""What a reviewer must know is in the plan, by a code that can be looked up."""

from __future__ import annotations

from collections.abc import Callable, Generator

import pytest
from tests.changes.life import spec
from tests.scene import Scene
from tests.steps.scenes import shared_scenes

from crossfade.plan import PlannedHazard
from crossfade.server import Server

Planned = Callable[..., dict[str, PlannedHazard]]


@pytest.fixture(scope="module")
def planned(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Generator[Planned]:
    """Hazards by code."""
    with shared_scenes(server, tmp_path_factory) as new_scene:
        scene: Scene = new_scene()
        scene.sql(
            "CREATE TABLE teams (id int PRIMARY KEY);"
            "CREATE TABLE items (id int PRIMARY KEY, code text DEFAULT '0', team_id int, number serial, seen text);"
            "CREATE TABLE tied (id int PRIMARY KEY, team_id int, v varchar(9), id2 int NOT NULL);"
            "CREATE INDEX ON tied (team_id, id);"
            "CREATE FUNCTION report() RETURNS bigint LANGUAGE plpgsql AS"
            " $$ BEGIN RETURN (SELECT count(*) FROM items WHERE code > ''); END $$"
        )

        def plan(*changes: str, more: str = "") -> dict[str, PlannedHazard]:
            spec(scene, *changes, more=more)
            return {hazard.code: hazard for hazard in scene.runner().plan(scene.migration()).hazards}

        yield plan


DROP = "drop_column: {table: items, column: code}"
OF_TEAM = "name: f, foreign_key: {columns: [team_id], references: {table: teams}}}"


@pytest.mark.parametrize(
    ("change", "code", "risk"),
    [
        (DROP, "unguarded-drop", "warning"),
        (DROP, "function-body", "warning"),
        ("add_column: {table: items, column: more, type: text, up: code}", "repeatable-reads-fail", "note"),
        ("rename_column: {table: items, from: seen, to: at}", "copies-column", "note"),
        ("change_column: {table: items, column: seen, to: {type: timestamptz}}", "prepared-statements", "warning"),
        ("change_column: {table: items, column: seen, to: {type: timestamptz}}", "column-order", "note"),
        (
            "change_column: {table: items, column: code, to: {type: text}, up: code || '!'}",
            "default-carried",
            "warning",
        ),
        ("drop_column: {table: items, column: number}", "owned-sequence", "warning"),
        (f"add_constraint: {{table: items, {OF_TEAM}", "foreign-key-without-index", "warning"),
        ("change_column: {table: tied, column: v, to: {type: text}}", "prepared-statements", "warning"),
        ("change_column: {table: tied, column: v, to: {type: text}}", "copied-to-come-back", "note"),
        ("change_column: {table: tied, column: v, to: {type: text}, strategy: in_place}", "no-way-back", "danger"),
        ("change_column: {table: tied, column: id2, to: {nullable: true}}", "null-holds-up-rollback", "note"),
        ("rename_column: {table: items, from: seen, to: at}", "prepared-statements", "warning"),
        ("add_column: {table: items, column: extra, type: text}", "prepared-statements", "note"),
        ("add_column: {table: items, column: extra, type: text, up: code}", "prepared-statements", "note"),
        ("drop_column: {table: items, column: seen}", "prepared-statements", "note"),
        ("add_column: {table: items, column: extra, type: text}", "columns-by-position", "warning"),
        ("rename_column: {table: items, from: seen, to: at}", "columns-by-position", "warning"),
        ("sql: {up: SELECT now(), down: SELECT 1}", "sql-locks-unknown", "warning"),
        ("sql: {up: SELECT 1}", "sql-no-down", "danger"),
    ],
)
def test_it_is_said(planned: Planned, change: str, code: str, risk: str) -> None:
    hazards = planned(change)

    assert hazards[code].risk == risk
    assert hazards[code].what


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("add_column: {table: items, column: extra, type: text}", "unguarded-drop"),
        (f"add_constraint: {{table: tied, {OF_TEAM}", "foreign-key-without-index"),
        ("sql: {up: SELECT 1, down: SELECT 1}", "sql-no-down"),
        ("drop_column: {table: items, column: seen}", "columns-by-position"),
        ("rename_column: {table: tied, from: team_id, to: team}", "function-body"),
        (
            "change_column: {table: items, column: code, to: {type: text, default: null}, up: code || '!'}",
            "default-carried",
        ),
        ("change_column: {table: tied, column: v, to: {default: \"'x'\"}}", "copied-to-come-back"),
    ],
)
def test_it_is_not_said_where_it_is_not_so(planned: Planned, change: str, code: str) -> None:
    assert code not in planned(change)


@pytest.mark.parametrize(
    "more",
    ["gates: {contract: [{soak: 1d}]}\n", "contract: {stages: [retire: {}, archive: {}, drop: {after: 1d}]}\n"],
    ids=["a gate", "an after"],
)
def test_a_guarded_drop_is_no_hazard(planned: Planned, more: str) -> None:
    assert "unguarded-drop" not in planned(DROP, more=more)


def test_a_drop_without_an_archive_is_a_danger(planned: Planned) -> None:
    hazards = planned(DROP, more="contract: {stages: [retire: {}, drop: {}]}\n")

    assert hazards["no-archive"].risk == "danger"


def test_what_several_changes_bring_is_said_once(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY)")
    spec(
        scene,
        "add_column: {table: items, column: a, type: text}",
        "add_column: {table: items, column: b, type: text}",
    )

    assert [hazard.code for hazard in scene.runner().plan(scene.migration()).hazards] == [
        "prepared-statements",
        "columns-by-position",
    ]


def test_a_hazard_says_which_change_brings_it(planned: Planned) -> None:
    assert planned(DROP)["function-body"].change == "drop_column"
    assert planned(DROP)["unguarded-drop"].change == "contract"


@pytest.mark.parametrize(
    ("schema", "changes", "found"),
    [
        ("", ["KEY"], 1),
        ("", ["KEY", "create_index: {table: items, name: i, columns: [team_id, id]}"], 0),
        ("", ["create_index: {table: items, name: i, columns: [team_id]}", "KEY"], 0),
        ("", ["KEY", "create_index: {table: items, name: i, columns: [id, team_id]}"], 1),
        ("", ["KEY", "create_index: {table: items, name: i, columns: [team_id], where: id > 0}"], 1),
        ("CREATE INDEX ON items (team_id) WHERE team_id IS NOT NULL", ["KEY"], 0),
        ("CREATE INDEX ON items (owner)", ["rename_column: {table: items, from: owner, to: team_id2}", "KEY2"], 0),
        (
            "",
            ["TABLE"],
            1,
        ),
    ],
)
def test_a_foreign_key_without_an_index_is_told_of_unless_the_migration_brings_one(
    scene: Scene, schema: str, changes: list[str], found: int
) -> None:
    scene.sql(
        "CREATE TABLE teams (id int PRIMARY KEY); CREATE TABLE items (id int PRIMARY KEY, team_id int, owner int);"
        f" {schema}"
    )
    key = "add_constraint: {table: items, name: k, foreign_key: {columns: [team_id], references: {table: teams}}}"
    made = "create_table: {table: parts, columns: [{name: item, type: int}], foreign_keys: "
    made += "{of_item: {columns: [item], references: {table: items}}}}"
    keys = {"KEY": key, "KEY2": key.replace("team_id", "team_id2"), "TABLE": made}
    spec(scene, *(keys.get(change, change) for change in changes))

    plan = scene.runner().plan(scene.migration())

    assert len([hazard for hazard in plan.hazards if hazard.code == "foreign-key-without-index"]) == found


def test_what_squawk_finds_in_the_authors_sql_is_told_but_for_the_locks_that_the_plan_tells_itself(
    planned: Planned,
) -> None:
    found = planned("sql: {up: 'CREATE TABLE made (a int); CREATE INDEX ON items (code)', down: DROP TABLE made}")

    assert found["sql-lint"].what.startswith("squawk, prefer-bigint-over-int, line 1 of `up`: Using 32-bit integer")
    assert found["sql-locks"].what.startswith("CREATE INDEX takes SHARE on public.items")
    assert sum("squawk" in hazard.what for hazard in found.values()) == 1


def test_a_team_says_in_squawks_own_file_which_of_its_rules_it_wants(scene: Scene) -> None:
    def told() -> list[str]:
        hazards = scene.runner().plan(scene.migration()).hazards
        return [hazard.what for hazard in hazards if hazard.code in ("sql-lint", "sql-not-linted")]

    spec(scene, "sql: {up: CREATE TABLE made (a int), down: DROP TABLE made}")
    wanted = scene.root / ".squawk.toml"

    wanted.write_text('excluded_rules = ["prefer-bigint-over-int"]')
    assert told() == []

    wanted.write_text("excluded_rules = [")
    assert told()[0].startswith("squawk could not look at `up`: Configuration error")
