"""add_constraint: bound, proved, named; and back."""

from __future__ import annotations

import pytest
from tests.changes.conftest import Live
from tests.changes.life import Lived, spec
from tests.scene import Scene

from crossfade.execute import StepRefused

SCHEMA = """
CREATE TABLE teams (id int PRIMARY KEY, code text UNIQUE, region int, number int, UNIQUE (region, number));
CREATE TABLE items (id int PRIMARY KEY, team_id int, team_code text, region int, number int, "maxSize" int, name text);
INSERT INTO teams VALUES (1, 'a', 1, 1);
INSERT INTO items VALUES (1, 1, 'a', 1, 1, 5, 'x'), (2, NULL, NULL, NULL, NULL, NULL, NULL)"""
CODES = "{table: teams, columns: [code]}"
PLACES = "{table: teams, columns: [region, number]}"
DEFERRED = "deferrable: true, initially_deferred: true"
BY_PLACE = "FOREIGN KEY (region, number) REFERENCES public.teams(region, number)"
CONSTRAINTS = {
    "sized": ("check: '\"maxSize\" > 0'", 'CONSTRAINT sized CHECK (("maxSize" > 0))'),
    "said": (
        "check: name <> 'name' OR name IS NULL",
        "CONSTRAINT said CHECK (((name <> 'name'::text) OR (name IS NULL)))",
    ),
    "once": ("unique: [name]", "ADD CONSTRAINT once UNIQUE (name)"),
    "pair": ("unique: [region, maxSize]", 'ADD CONSTRAINT pair UNIQUE (region, "maxSize")'),
    "of_team": (
        "foreign_key: {columns: [team_id], references: {table: teams}, on_delete: cascade, on_update: restrict}",
        "ADD CONSTRAINT of_team FOREIGN KEY (team_id) REFERENCES public.teams(id) ON UPDATE RESTRICT ON DELETE CASCADE",
    ),
    "by_code": (
        f"foreign_key: {{columns: [team_code], references: {CODES}, on_delete: set null, deferrable: true}}",
        "ADD CONSTRAINT by_code FOREIGN KEY (team_code) REFERENCES public.teams(code) ON DELETE SET NULL DEFERRABLE",
    ),
    "by_place": (
        "foreign_key: {columns: [region, number], references: {table: teams, columns: [region, number]}}",
        "ADD CONSTRAINT by_place FOREIGN KEY (region, number) REFERENCES public.teams(region, number)",
    ),
    "wide": ("unique: [number], include: [name]", "ADD CONSTRAINT wide UNIQUE (number) INCLUDE (name)"),
    "later": (
        "unique: [id, number], deferrable: true, initially_deferred: true",
        "ADD CONSTRAINT later UNIQUE (id, number) DEFERRABLE INITIALLY DEFERRED",
    ),
    "all_or_none": (
        f"foreign_key: {{columns: [region, number], references: {PLACES}, match: full, {DEFERRED}}}",
        f"ADD CONSTRAINT all_or_none {BY_PLACE} MATCH FULL DEFERRABLE INITIALLY DEFERRED",
    ),
    "itself": (
        "foreign_key: {columns: [maxSize], references: {table: items}, on_delete: set default}",
        'ADD CONSTRAINT itself FOREIGN KEY ("maxSize") REFERENCES public.items(id) ON DELETE SET DEFAULT',
    ),
}


def change(name: str) -> str:
    return f"add_constraint: {{table: items, name: {name}, {CONSTRAINTS[name][0]}}}"


@pytest.fixture(scope="module")
def lived(live: Live) -> Lived:
    return live(SCHEMA.replace("1, 1, 5, 'x'", "1, 1, 1, 'x'"), *map(change, CONSTRAINTS))


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_the_constraint_is_there_under_its_name(lived: Lived, name: str) -> None:
    assert lived.lines(f"CONSTRAINT {name} ") == [CONSTRAINTS[name][1]]


def test_every_constraint_is_validated(lived: Lived) -> None:
    assert lived.scene.one("SELECT bool_and(convalidated) FROM pg_constraint")


def test_nulls_that_are_not_distinct_are_one(scene: Scene) -> None:
    if scene.one("SHOW server_version_num") < "150000":
        pytest.skip("needs PostgreSQL 15")
    scene.sql(SCHEMA)
    spec(scene, "add_constraint: {table: items, name: once, unique: [name], nulls_distinct: false}")

    scene.up()

    assert "ADD CONSTRAINT once UNIQUE NULLS NOT DISTINCT (name)" in scene.schema()


@pytest.mark.parametrize(
    ("name", "row", "said"),
    [
        ("sized", "(3, NULL, NULL, NULL, NULL, 0, NULL)", "1 rows that break the check sized"),
        ("once", "(3, NULL, NULL, NULL, NULL, NULL, 'x')", "1 values of public.items (name) that stand in more than"),
        (
            "of_team",
            "(3, 9, NULL, NULL, NULL, NULL, NULL)",
            "1 rows of public.items (team_id) without a row in public.teams",
        ),
        (
            "all_or_none",
            "(3, 1, NULL, NULL, 9, NULL, NULL)",
            "1 rows of public.items (region, number) without a row in",
        ),
        ("by_place", "(3, 1, NULL, 1, 9, NULL, NULL)", "1 rows of public.items (region, number) without a row in"),
    ],
)
def test_rows_that_break_it_hold_it_up_and_are_counted(scene: Scene, name: str, row: str, said: str) -> None:
    scene.sql(f"{SCHEMA}; INSERT INTO items VALUES {row}")
    spec(scene, change(name))

    with pytest.raises(StepRefused) as refused:
        scene.up()
    assert refused.value.what.startswith(said)

    scene.sql("DELETE FROM items WHERE id = 3")
    assert scene.up().ended == "complete"


KEYLESS = "CREATE TABLE items (id int, name text); INSERT INTO items VALUES (1, 'a'), (2, NULL)"
PRIMARY = "add_constraint: {table: items, name: items_pkey, primary_key: [id], include: [name]}"


def test_a_primary_key_makes_its_columns_not_null(live: Live) -> None:
    lived = live(KEYLESS, PRIMARY)

    assert lived.lines("id integer", "ADD CONSTRAINT") == [
        "id integer NOT NULL",
        "ADD CONSTRAINT items_pkey PRIMARY KEY (id) INCLUDE (name)",
    ]


def test_rows_without_a_value_hold_a_primary_key_up(scene: Scene) -> None:
    scene.sql(f"{KEYLESS}; INSERT INTO items VALUES (NULL, 'b')")
    spec(scene, PRIMARY)

    with pytest.raises(StepRefused, match=r"^1 rows without a value in public\.items\.id"):
        scene.up()


def test_only_some_columns_of_a_foreign_key_are_set_when_the_parent_goes(scene: Scene) -> None:
    if scene.one("SHOW server_version_num") < "150000":
        pytest.skip("needs PostgreSQL 15")
    scene.sql(SCHEMA)
    key = "columns: [region, number], references: {table: teams, columns: [region, number]}"
    spec(
        scene,
        f"add_constraint: {{table: items, name: k, foreign_key: {{{key}, on_delete: set null, on_delete_columns:"
        " [number]}}",
    )

    scene.up()
    scene.sql("DELETE FROM teams")

    assert scene.sql("SELECT region, number FROM items WHERE id = 1") == [(1, None)]


@pytest.mark.parametrize("name", ["sized", "once", "of_team"])
def test_it_binds_new_rows_from_validate_on(scene: Scene, name: str) -> None:
    scene.sql(SCHEMA)
    spec(scene, change(name))

    scene.up(through="validate")

    with pytest.raises(Exception, match=r'constraint "_cf_m_'):
        scene.sql("INSERT INTO items VALUES (3, 9, NULL, NULL, NULL, 0, 'x')")


@pytest.mark.parametrize("name", ["sized", "once", "of_team"])
def test_it_binds_nobody_before_contract_when_the_change_says_so(scene: Scene, name: str) -> None:
    scene.sql(SCHEMA)
    spec(scene, change(name).removesuffix("}") + ", enforce: contract}")

    scene.up(through="validate")
    scene.sql("INSERT INTO items VALUES (3, 9, NULL, NULL, NULL, 0, 'x')")

    with pytest.raises(StepRefused):
        scene.up()
    assert "tighten" in scene.ledger().legs("m")


def test_a_constraint_on_a_column_of_the_same_migration_is_on_the_new_column(live: Live) -> None:
    lived = live(
        SCHEMA,
        "change_column: {table: items, column: team_code, to: {type: varchar(5)}}",
        "rename_column: {table: items, from: team_id, to: owner_id}",
        "add_constraint: {table: items, name: short, check: length(team_code) < 5}",
        "add_constraint: {table: items, name: of_team, foreign_key: {columns: [owner_id], references: {table: teams}}}",
    )

    assert lived.lines("short", "of_team") == [
        "CONSTRAINT short CHECK ((length((team_code)::text) < 5))",
        "ADD CONSTRAINT of_team FOREIGN KEY (owner_id) REFERENCES public.teams(id)",
    ]


@pytest.mark.parametrize(
    "change",
    [
        "add_constraint: {table: items, name: sized, check: size > 0 AND items.size < 9}",
        "add_column: {table: items, column: more, type: int, default: 5, check: more > 0}",
        "add_column: {table: items, column: twice, type: int, up: size * 2, check: twice > 0}",
        "change_column: {table: items, column: size, to: {check: size > 0}}",
        "change_column: {table: items, column: size, to: {type: bigint, check: size > 0}}",
    ],
)
def test_a_check_is_added_to_a_partitioned_table(scene: Scene, change: str) -> None:
    scene.sql(
        "CREATE TABLE items (id int, size int, PRIMARY KEY (id)) PARTITION BY RANGE (id);"
        "CREATE TABLE items_low PARTITION OF items FOR VALUES FROM (0) TO (10);"
        "INSERT INTO items VALUES (1, 2)"
    )
    spec(scene, change)

    assert scene.up().ended == "complete"

    checked = scene.sql(
        "SELECT conrelid::regclass::text FROM pg_constraint"
        " WHERE contype = 'c' AND convalidated AND connamespace = 'public'::regnamespace"
    )
    assert sorted(checked) == [("items",), ("items_low",)]
