"""A plan is data: the same for the same input, stored and read back, and made without a write."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Generator

import psycopg
import pytest
from tests.changes.life import spec
from tests.scene import Scene
from tests.steps.scenes import shared_scenes

from crossfade.plan import Plan
from crossfade.server import LocalServer, Server
from crossfade.steps.step import AnyStep, Leg, stage_leg

SCHEMA = """
CREATE TABLE teams (id int PRIMARY KEY);
CREATE TABLE items (
  id int PRIMARY KEY, code text UNIQUE CHECK (code <> ''), name text, gone text, size int, team_id int);
CREATE INDEX by_name ON items (name) WHERE name <> 'x';
CREATE INDEX old_index ON items (size);
INSERT INTO teams VALUES (1);
INSERT INTO items VALUES (1, 'a', 'n', 'g', 1, 1)"""
CHANGES = (
    "change_column: {table: items, column: code, to: {type: varchar(9), nullable: false}}",
    "rename_column: {table: items, from: name, to: title}",
    "drop_column: {table: items, column: gone, down: size::text}",
    "add_column: {table: items, column: extra, type: bigint, up: size * 2, unique: true}",
    "add_column: {table: teams, column: plain, type: text}",
    "create_index: {table: items, name: fresh, columns: [size], unique: true}",
    "drop_index: {index: old_index}",
    "add_constraint: {table: items, name: of_team, foreign_key: {columns: [team_id], references: {table: teams}}}",
    "create_table: {table: notes, columns: [{name: id, type: int}], primary_key: [id]}",
    "update_rows: {table: items, set: {size: size}, where: id > 5}",
    "sql: {up: SELECT 1, down: SELECT 2, verify: SELECT true}",
    "sql: {up: SELECT 1, reason: repeatable, transaction: false, phase: contract}",
)


@pytest.fixture(scope="module")
def scene(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Generator[Scene]:
    with shared_scenes(server, tmp_path_factory) as new_scene:
        made = new_scene()
        made.sql(SCHEMA)
        spec(made, *CHANGES, more="contract: {window: {days: mon-fri, hours: '09:00-17:00', timezone: UTC}}\n")
        yield made


@pytest.fixture(scope="module")
def plan(scene: Scene) -> Plan:
    return scene.runner().plan(scene.migration())


def all_steps(plan: Plan) -> list[AnyStep]:
    found: list[AnyStep] = []
    waiting = list(plan.steps)
    while waiting:
        step = waiting.pop(0)
        found.append(step)
        waiting.extend(step.undo)
    return found


def test_a_plan_is_the_same_after_a_round_trip_through_json(plan: Plan) -> None:
    stored = json.loads(json.dumps(plan.model_dump(mode="json")))

    read = Plan.model_validate(stored)

    assert read == plan
    assert read.digest == plan.digest


def test_the_same_input_gives_the_same_plan_in_another_process(scene: Scene, plan: Plan) -> None:
    code = (
        "import sys; from pathlib import Path; from crossfade.changes import CHANGES;"
        "from crossfade.gates import GATES; from crossfade.execute import Runner;"
        "from crossfade.spec import load_project;"
        "project = load_project(Path(sys.argv[1]), changes=CHANGES, gates=GATES);"
        "print(Runner(project).plan(project.migrations[0]).digest)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "12345"}

    other = subprocess.run(
        [sys.executable, "-c", code, str(scene.root)], env=environment, capture_output=True, text=True, check=True
    )

    assert other.stdout.strip() == plan.digest


def test_step_ids_are_unique_within_a_plan_those_of_undo_included(plan: Plan) -> None:
    ids = [step.id for step in all_steps(plan)]

    assert len(ids) == len(set(ids))


def test_more_rows_change_sizes_and_neither_steps_nor_digest(scene: Scene, plan: Plan) -> None:
    scene.sql(
        "INSERT INTO items SELECT i, 'c' || i, 'n', 'g', i, 1 FROM generate_series(100, 3000) AS i; ANALYZE items"
    )

    later = scene.runner().plan(scene.migration())

    assert later.sizes != plan.sizes
    assert [step.id for step in later.steps] == [step.id for step in plan.steps]
    assert later.digest == plan.digest


def test_what_is_done_and_what_guards_it_changes_the_digest(plan: Plan) -> None:
    first = plan.steps[0]
    changed = [
        plan.model_copy(update={"steps": (first.model_copy(update={"title": "x"}), *plan.steps[1:])}),
        plan.model_copy(update={"gates": ()}),
        plan.model_copy(update={"settings": plan.settings.model_copy(update={"workers": 9})}),
        plan.model_copy(update={"spec_digest": "x"}),
    ]

    assert len({plan.digest, *(other.digest for other in changed)}) == 5
    assert plan.model_copy(update={"sizes": ()}).digest == plan.digest


def test_steps_stand_in_the_order_of_their_legs(plan: Plan) -> None:
    orders = [step.leg.order for step in plan.steps]

    assert orders == sorted(orders)
    assert [str(leg) for leg in plan.legs] == ["expand", "backfill", "validate", "cutover", "retire", "archive", "drop"]


def test_every_step_of_contract_belongs_to_a_stage(plan: Plan) -> None:
    assert {step.leg for step in plan.steps} <= set(plan.legs)
    assert all(step.leg.stage is not None for step in plan.steps if step.leg.phase == "contract")


def test_a_plan_tells_which_leg_comes_before_another(plan: Plan) -> None:
    assert plan.before(Leg(phase="expand")) is None
    assert plan.before(Leg(phase="backfill")) == Leg(phase="expand")
    assert plan.before(stage_leg("cutover")) == Leg(phase="validate")
    assert plan.leg("retire") == stage_leg("retire")
    assert plan.leg("nowhere") is None


def test_lineage_says_what_each_column_is_made_from(plan: Plan) -> None:
    assert {(line.table, line.column): (line.sources, line.expression) for line in plan.lineage} == {
        ("public.items", "code"): (("code",), '"code"::character varying'),
        ("public.items", "title"): (("name",), '"name"'),
        ("public.items", "extra"): (("size",), "size * 2"),
        ("public.items", "size"): (("size",), "size"),
    }


def test_the_tables_it_touches_are_listed_with_their_size(plan: Plan) -> None:
    assert [str(size.relation) for size in plan.sizes] == ["public.items", "public.teams"]
    assert all(size.bytes > 0 for size in plan.sizes)


def test_every_step_says_what_it_does_and_how_it_is_taken_back(plan: Plan) -> None:
    assert all(step.title and step.undo_title for step in plan.steps)
    assert [step.id for step in plan.steps if step.irreversible] == ["public/sql/11"]


def test_every_lock_that_makes_others_wait_is_said(plan: Plan) -> None:
    blocking = {
        step.id: [lock.blocks for lock in step.locks] for step in plan.steps if step.kind == "ddl" and step.locks
    }

    assert blocking["public.items/columns/add"] == ["reads and writes"]
    assert blocking["public.items/sync/install"] == ["writes"]
    assert blocking["public.items/of_team/fkey/add"] == ["writes", "writes"]
    assert blocking["public.items/of_team/fkey/validate"] == ["nobody but other DDL", "nobody but other DDL"]


def test_planning_needs_no_right_but_to_read_and_writes_nothing(scene: Scene, plan: Plan) -> None:
    role = f"reader_{uuid.uuid4().hex[:8]}"
    scene.sql(f"CREATE ROLE {role}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    databases = (scene.root / "databases.yaml").read_text()
    before = scene.schema()
    try:
        (scene.root / "databases.yaml").write_text(databases.replace("}", f", role: {role}}}"))
        planned = scene.runner().plan(scene.migration())
        after = scene.schema()
    finally:
        (scene.root / "databases.yaml").write_text(databases)
        scene.sql(f"DROP OWNED BY {role}; DROP ROLE {role}")

    assert planned.digest == plan.digest
    assert after == before
    assert scene.one("SELECT to_regnamespace('crossfade') IS NULL")


def test_planning_uses_up_no_transaction_number(own_server: LocalServer, scene: Scene, plan: Plan) -> None:
    """On a server of its own, for what writes is given a number."""
    url = own_server.create_database("quiet")
    with psycopg.connect(url, autocommit=True) as session:
        session.execute(SCHEMA)
        number = "SELECT pg_snapshot_xmax(pg_current_snapshot())"
        before = session.execute(number).fetchone()
        databases = (scene.root / "databases.yaml").read_text()
        try:
            (scene.root / "databases.yaml").write_text(f"{scene.first}: {{url: env:QUIET_URL}}\n")
            with pytest.MonkeyPatch.context() as environment:
                environment.setenv("QUIET_URL", url)
                planned = scene.runner().plan(scene.migration())
        finally:
            (scene.root / "databases.yaml").write_text(databases)

        assert planned.digest == plan.digest
        assert session.execute(number).fetchone() == before


def test_a_plan_for_two_databases_does_each_leg_in_both_the_home_first(
    databases: Callable[..., tuple[str, ...]], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = databases("one", "two")
    scene = Scene(tmp_path_factory.mktemp("two"), {"one": one, "two": two}, monkeypatch.setenv)
    for name in ("one", "two"):
        scene.sql("CREATE TABLE items (id int PRIMARY KEY, code text)", name)
    scene.spec(
        "changes:\n"
        "  - rename_column: {table: items, from: code, to: sku, database: two}\n"
        "  - rename_column: {table: items, from: code, to: sku}\n"
    )

    plan = scene.runner().plan(scene.migration())

    assert (plan.home, plan.databases) == ("one", ("one", "two"))
    assert [(str(step.leg), step.database) for step in plan.steps_of(Leg(phase="expand"))] == [
        ("expand", "one"),
        ("expand", "one"),
        ("expand", "two"),
        ("expand", "two"),
    ]
    assert len(list(plan.steps_of(Leg(phase="backfill"), "two"))) == 1
    scene.close()
