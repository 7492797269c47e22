"""SQL outside a transaction: `down` takes back what `up` did, and never what somebody else had made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import Databases
from tests.execute.test_kills import run_out_leases
from tests.scene import Scene

from crossfade.execute import ExecutionFailed, InDoubt, StepRefused

MAKE = """
changes:
  - sql: {{transaction: false, up: "{up}", down: "{down}", verify: "{verify}"}}
"""
REPEATABLE = """
changes:
  - sql: {transaction: false, up: "INSERT INTO log VALUES (1)", down: "DELETE FROM log", reason: repeatable}
"""
STEP = "public/sql/0"


def make(scene: Scene, up: str, down: str, verify: str = "SELECT false") -> None:
    scene.spec(MAKE.format(up=up, down=down, verify=verify))


@pytest.fixture
def services(tmp_path: Path, databases: Databases, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    urls = databases("first", "second")
    scene = Scene(tmp_path, dict(zip(("first", "second"), urls, strict=True)), monkeypatch.setenv)
    scene.sql("CREATE TABLE items (id int PRIMARY KEY)")
    scene.sql("CREATE TABLE keepme AS SELECT generate_series(1, 1000) AS id", "second")
    yield scene
    scene.close()


def test_what_up_did_not_make_is_not_taken_back_when_up_is_refused(services: Scene) -> None:
    services.spec(
        """
changes:
  - add_column: {table: items, column: extra, type: text}
  - sql: {database: second, transaction: false, up: CREATE TABLE keepme (id int), down: DROP TABLE keepme,
          verify: SELECT false}
"""
    )

    with pytest.raises(ExecutionFailed, match="already exists") as failure:
        services.up()

    assert [each.what for each in failure.value.problems[1:]] == ["expand is taken back in first and second"]
    assert services.one("SELECT count(*) FROM keepme", "second") == 1000
    assert services.columns("items") == ["id"]
    assert services.rollback().ended == "undone"
    assert services.one("SELECT count(*) FROM keepme", "second") == 1000


def test_what_was_there_before_up_is_not_taken_back(scene: Scene) -> None:
    scene.sql("CREATE TABLE keepme ()")
    make(scene, "CREATE TABLE keepme ()", "DROP TABLE keepme", "SELECT to_regclass('keepme') IS NOT NULL")
    scene.up()

    scene.rollback()

    assert scene.one("SELECT to_regclass('keepme') IS NOT NULL")


def test_an_index_that_could_not_be_begun_does_not_hold_up_the_way_back(scene: Scene) -> None:
    make(scene, "CREATE INDEX CONCURRENTLY zzz ON nowhere (id)", "DROP INDEX CONCURRENTLY zzz")
    with pytest.raises(ExecutionFailed, match="does not exist"):
        scene.up()

    assert scene.rollback().ended == "undone"


def test_an_index_whose_build_left_a_part_is_taken_back_as_verify_says(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (n int); INSERT INTO items VALUES (1), (1)")
    make(
        scene,
        "CREATE UNIQUE INDEX CONCURRENTLY i ON items (n)",
        "DROP INDEX CONCURRENTLY i",
        "SELECT to_regclass('i') IS NOT NULL",
    )
    with pytest.raises(ExecutionFailed):
        scene.up()

    scene.rollback()

    assert scene.one("SELECT to_regclass('i') IS NULL")


@pytest.mark.parametrize(("point", "there"), [("before statement:1", False), ("after statement:1", True)])
def test_verify_tells_what_a_statement_did_that_was_cut_off(scene: Scene, point: str, there: bool) -> None:
    scene.sql("CREATE TABLE log (n int)")
    make(scene, "INSERT INTO log VALUES (1)", "INSERT INTO log VALUES (2)", "SELECT count(*) > 0 FROM log")
    cut_off(scene, point)

    scene.rollback()

    assert scene.sql("SELECT n FROM log") == ([(1,), (2,)] if there else [])


def test_what_nobody_can_tell_is_left_to_a_person_and_up_can_still_go_on(scene: Scene) -> None:
    scene.sql("CREATE TABLE log (n int)")
    scene.spec(REPEATABLE)
    cut_off(scene, "after statement:1")

    with pytest.raises(InDoubt, match=f"--run-down {STEP}.*--skip-down {STEP}"):
        scene.rollback()

    assert scene.one("SELECT count(*) FROM log") == 1
    assert scene.up().ended == "complete"
    assert scene.rollback().ended == "undone"
    assert scene.one("SELECT count(*) FROM log") == 0


@pytest.mark.parametrize(("had_effect", "left"), [(True, 0), (False, 1)])
def test_a_person_says_whether_down_is_run(scene: Scene, had_effect: bool, left: int) -> None:
    scene.sql("CREATE TABLE log (n int)")
    scene.spec(REPEATABLE)
    cut_off(scene, "after statement:1")

    scene.runner().rollback("m", settled={STEP: had_effect})

    assert scene.one("SELECT count(*) FROM log") == left
    settled = [event.body for event in scene.ledger().events("m") if event.kind == "doubt settled"]
    assert settled == [{"step": STEP, "had effect": had_effect}]


def test_a_part_of_up_is_not_taken_back_with_what_another_made(services: Scene) -> None:
    services.spec(
        """
changes:
  - add_column: {table: items, column: extra, type: text}
  - sql: {database: second, transaction: false, up: CREATE TABLE a (); CREATE TABLE keepme (),
          down: DROP TABLE keepme; DROP TABLE a, verify: SELECT false}
"""
    )

    with pytest.raises(ExecutionFailed, match="expand is not taken back in second: whether"):
        services.up()

    assert services.one("SELECT count(*) FROM keepme", "second") == 1000
    with pytest.raises(InDoubt, match="1 of its 2 statements returned"):
        services.rollback()
    services.runner().rollback("m", settled={STEP.replace("0", "1"): False})
    assert services.one("SELECT count(*) FROM keepme", "second") == 1000


def test_a_down_that_was_cut_off_after_it_dropped_goes_on(scene: Scene) -> None:
    make(scene, "CREATE TABLE a ()", "DROP TABLE a; CREATE TABLE b ()", "SELECT to_regclass('a') IS NOT NULL")
    scene.up()
    assert scene.start_process(fault="after statement:1", act="rollback").ending().killed
    run_out_leases(scene)
    assert scene.one("SELECT to_regclass('a') IS NULL AND to_regclass('b') IS NULL")

    scene.rollback()

    assert scene.one("SELECT to_regclass('b') IS NOT NULL")


def test_a_verify_that_does_not_hold_after_up_leaves_the_way_back_open(scene: Scene) -> None:
    make(scene, "CREATE TABLE a ()", "DROP TABLE a")
    with pytest.raises(StepRefused, match="failed verification"):
        scene.up()

    scene.rollback()

    assert scene.one("SELECT to_regclass('a') IS NULL")


def cut_off(scene: Scene, point: str) -> None:
    assert scene.start_process(fault=point).ending().killed
    run_out_leases(scene)
