"""Changes of a table that an earlier change of the same migration makes: plainly, in expand, and gone with it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.changes.conftest import Live
from tests.changes.life import Lived, spec
from tests.changes.refusing import refusal
from tests.scene import Scene

from crossfade.plan import Plan
from crossfade.steps.step import Ddl

TEAMS = "CREATE TABLE teams (id int PRIMARY KEY); INSERT INTO teams VALUES (1)"
CREATE = """create_table:
      table: items
      columns: [{name: id, type: int}, {name: name, type: text}, {name: team_id, type: int}]
      primary_key: [id]"""
LATER = {
    "column": ("add_column: {table: items, column: code, type: text, nullable: false, unique: true}", "code text NOT"),
    "volatile": ("add_column: {table: items, column: token, type: uuid, default: gen_random_uuid()}", "token uuid"),
    "index": (
        "create_index: {table: items, name: by_name, columns: [{expression: lower(name)}, code], where: id > 0}",
        "CREATE INDEX by_name ON public.items USING btree (lower(name), code) WHERE (id > 0)",
    ),
    "unique": (
        "create_index: {table: items, name: once, columns: [name], unique: true}",
        "CREATE UNIQUE INDEX once ON public.items USING btree (name)",
    ),
    "check": ("add_constraint: {table: items, name: pos, check: id > 0}", "CONSTRAINT pos CHECK ((id > 0))"),
    "key": ("add_constraint: {table: items, name: two, unique: [name, id]}", "ADD CONSTRAINT two UNIQUE (name, id)"),
    "child": (
        "add_constraint: {table: items, name: of_team, foreign_key: {columns: [team_id], references: {table: teams}}}",
        "ADD CONSTRAINT of_team FOREIGN KEY (team_id) REFERENCES public.teams(id)",
    ),
    "parent": (
        "add_constraint: {table: teams, name: of_item, foreign_key: {columns: [id], references: {table: items}}}",
        "ADD CONSTRAINT of_item FOREIGN KEY (id) REFERENCES public.items(id)",
    ),
    "second": (
        """create_table:
      table: parts
      columns: [{name: item, type: text}]
      foreign_keys: {of_code: {columns: [item], references: {table: items, columns: [code]}}}""",
        "ADD CONSTRAINT of_code FOREIGN KEY (item) REFERENCES public.items(code)",
    ),
}
ON_TABLE = [change for name, (change, _) in LATER.items() if name != "parent"]


@pytest.fixture(scope="module")
def lived(live: Live) -> Lived:
    return live(TEAMS.partition(";")[0], CREATE, *(change for change, _ in LATER.values()))


@pytest.mark.parametrize("name", LATER)
def test_it_is_there_in_the_end(lived: Lived, name: str) -> None:
    assert any(LATER[name][1] in line for line in lived.schema.splitlines())


@pytest.fixture(scope="module")
def plan(shared_scene: Callable[[], Scene]) -> Plan:
    scene = shared_scene()
    scene.sql(TEAMS)
    spec(scene, CREATE, *ON_TABLE)
    return scene.runner().plan(scene.migration())


def test_everything_is_done_in_expand(plan: Plan) -> None:
    assert {str(step.leg) for step in plan.steps} == {"expand"}


def test_nothing_is_done_concurrently_or_proved_afterwards(plan: Plan) -> None:
    statements = [text for step in plan.steps if isinstance(step, Ddl) for text in step.statements]

    assert len([step for step in plan.steps if isinstance(step, Ddl)]) == len(plan.steps)
    assert not [text for text in statements if "CONCURRENTLY" in text or "VALID" in text or "_cf_" in text]


def test_no_table_that_others_use_is_locked_but_a_foreign_keys_parent(plan: Plan) -> None:
    locked = {(str(lock.relation), lock.mode) for step in plan.steps for lock in step.locks}

    assert locked == {("public.teams", "SHARE ROW EXCLUSIVE")}


def test_a_column_that_would_be_mapped_is_refused(scene: Scene) -> None:
    (problem,) = refusal(scene, CREATE, "rename_column: {table: items, from: name, to: title}")

    assert problem.what.endswith("public.items in step, and this migration makes the table")


def test_a_table_made_after_the_change_is_not_known_to_it(scene: Scene) -> None:
    (problem,) = refusal(scene, "create_index: {table: items, name: i, columns: [name]}", CREATE)

    assert problem.what.startswith("table public.items does not exist")


def test_a_gate_may_ask_for_a_column_that_comes_to_the_new_table(scene: Scene) -> None:
    gate = "gates: {validate: {before: [{sql: SELECT count(code) = 0 FROM items}]}}\n"

    assert refusal(scene, CREATE, "add_column: {table: items, column: code, type: text}", more=gate) == ()


def test_subscribers_are_told_the_new_table_with_the_columns_that_come_to_it(scene: Scene) -> None:
    if scene.one("SHOW server_version_num") < "150000":
        pytest.skip("needs PostgreSQL 15")
    scene.sql("CREATE TABLE other (id int); CREATE PUBLICATION p FOR TABLES IN SCHEMA public")

    (problem,) = refusal(scene, CREATE, "add_column: {table: items, column: code, type: text}")

    assert problem.fix is not None
    assert 'CREATE TABLE "public"."items" ("id" integer, "name" text, "team_id" integer, "code" text)' in problem.fix
