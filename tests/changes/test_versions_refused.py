"""What planning refuses of strategy: versions, and what it says of it."""

from __future__ import annotations

import psycopg
import pytest
from tests.changes.life import spec
from tests.scene import Scene

from crossfade.changes import Refused
from crossfade.plan import Plan

TABLE = "CREATE TABLE users (id int PRIMARY KEY, mail text, name text)"
LOWER = (
    "change_column: {table: users, column: mail, to: {comment: low}, up: lower(mail), down: mail, strategy: versions}"
)
RENAME = "rename_column: {table: users, from: name, to: called, strategy: versions}"


def plan(scene: Scene, *changes: str) -> Plan:
    scene.sql(TABLE)
    spec(scene, *changes)
    return scene.runner().plan(scene.migration())


@pytest.mark.parametrize("schema", ["public_m", "public_before_m"])
def test_a_schema_that_is_there_already_is_not_taken(scene: Scene, schema: str) -> None:
    scene.sql(f"CREATE SCHEMA {schema}")
    with pytest.raises(Refused, match=f"schema {schema} exists already"):
        plan(scene, LOWER)


def test_a_name_that_postgresql_would_cut_is_refused(scene: Scene) -> None:
    scene.sql(TABLE)
    scene.spec(f"changes:\n  - {LOWER}\n", id="m" * 60)
    with pytest.raises(Refused, match="bytes long"):
        scene.runner().plan(scene.migration("m" * 60))


def test_a_name_is_not_taken_from_a_column_beside_columns_that_are_kept_in_step(scene: Scene) -> None:
    with pytest.raises(Refused, match="one name is taken from"):
        plan(scene, LOWER, RENAME)


def test_a_trigger_that_names_a_renamed_column_is_refused(scene: Scene) -> None:
    scene.sql(TABLE)
    scene.sql(
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN new.name := btrim(new.name); RETURN new; END';"
        " CREATE TRIGGER a BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION f()"
    )
    spec(scene, RENAME)
    with pytest.raises(Refused, match=r"names name in public\.f") as refusal:
        scene.runner().plan(scene.migration())
    assert "from cutover on" in str(refusal.value.why)


@pytest.mark.parametrize("change", [LOWER, RENAME])
def test_the_plan_tells_the_paths_and_what_a_view_cannot_do(scene: Scene, change: str) -> None:
    made = plan(scene, change)
    told = {hazard.code: hazard.what for hazard in made.hazards}
    assert "public_m, public" in told["search-path"]
    assert "public_before_m, public" in told["search-path"]
    assert "ON CONFLICT ON CONSTRAINT" in told["view-not-table"]
    assert [(v.new, v.old) for v in made.versions] == [("public_m", "public_before_m")]


def test_views_are_made_and_dropped_without_a_lock_that_others_wait_for(scene: Scene) -> None:
    steps = [step for step in plan(scene, LOWER).steps if "/versions/" in step.id]
    assert len(steps) == 3
    assert {lock.mode for step in steps for lock in step.locks} == {"ACCESS SHARE"}


@pytest.mark.parametrize(
    "statement",
    [
        "COPY users FROM '/dev/null'",
        "COPY users TO STDOUT",
        "TRUNCATE users",
        "INSERT INTO users VALUES (1) ON CONFLICT ON CONSTRAINT users_pkey DO NOTHING",
        "SELECT ctid FROM users",
        "SELECT id, mail FROM users GROUP BY id",
    ],
)
def test_what_the_plan_says_that_a_view_cannot_do_it_cannot(scene: Scene, statement: str) -> None:
    scene.sql(TABLE)
    spec(scene, LOWER)
    scene.up(through="expand")
    with scene.connect() as app:
        app.execute("SET search_path = public_m, public")
        with pytest.raises(psycopg.Error):
            app.execute(statement.encode())
