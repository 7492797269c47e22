"""sql: the author's own statements in a phase, with their undo and their proof."""

from __future__ import annotations

import pytest
from tests.changes.life import spec
from tests.scene import Scene

from crossfade.changes import Refused
from crossfade.execute import Blocked, ExecutionFailed, StepRefused
from crossfade.spec import SpecError


def test_up_runs_in_its_phase_and_down_takes_it_back(scene: Scene) -> None:
    before = scene.schema()
    spec(scene, "sql: {up: CREATE VIEW v AS SELECT 1 AS one; COMMENT ON VIEW v IS 'x', down: DROP VIEW v}")

    scene.up(through="expand")
    assert scene.sql("SELECT * FROM v") == [(1,)]

    scene.rollback()
    assert scene.schema() == before


@pytest.mark.parametrize("phase", ["", "phase: validate, "])
def test_a_stage_outside_of_contract_is_refused_where_it_stands(scene: Scene, phase: str) -> None:
    line = f"sql: {{up: SELECT 1, {phase}stage: retire}}"
    spec(scene, line)

    with pytest.raises(SpecError, match="only `phase: contract` has stages") as refusal:
        scene.project()

    where = refusal.value.problems[0].where
    assert where is not None
    assert (where.line, where.column) == (6, len("  - ") + line.index("retire") + 1)


def test_statements_are_one_transaction(scene: Scene) -> None:
    spec(scene, "sql: {up: CREATE TABLE a (); SELECT 1/0, down: DROP TABLE a}")

    with pytest.raises(ExecutionFailed, match="division by zero"):
        scene.up()

    assert scene.one("SELECT to_regclass('a') IS NULL")


def test_percent_signs_braces_and_quotes_are_taken_as_they_are(scene: Scene) -> None:
    scene.spec(
        """
changes:
  - sql:
      up: |
        CREATE TABLE a (b text);
        INSERT INTO a SELECT format('%s {x} %% ; $$ it''s', 1)
      down: DROP TABLE a
      verify: SELECT count(*) = 1 FROM a WHERE b LIKE '%;%'
"""
    )

    scene.up()

    assert scene.one("SELECT b FROM a") == "1 {x} % ; $$ it's"


def test_without_a_transaction_it_may_do_what_postgresql_refuses_in_one(scene: Scene) -> None:
    scene.sql("CREATE TABLE a (b int)")
    spec(
        scene,
        "sql: {up: CREATE INDEX CONCURRENTLY i ON a (b), down: DROP INDEX CONCURRENTLY i, transaction: false,"
        " verify: \"SELECT to_regclass('i') IS NOT NULL\"}",
    )

    scene.up()
    assert scene.one("SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass")

    scene.rollback()
    assert scene.one("SELECT to_regclass('i') IS NULL")


@pytest.mark.parametrize(
    ("up", "said"),
    [
        ("VACUUM a", "runs VACUUM a outside of a transaction only"),
        ("REINDEX TABLE CONCURRENTLY a", "outside of a transaction only"),
        ("COPY a FROM STDIN", "need a client that sends or takes rows"),
    ],
)
def test_what_could_not_run_is_refused_before_anything_is_begun(scene: Scene, up: str, said: str) -> None:
    scene.sql("CREATE TABLE a (b int)")
    spec(scene, f"sql: {{up: {up}}}")

    with pytest.raises((Refused, SpecError), match=said):
        scene.up()


@pytest.mark.parametrize("alone", ["", ", transaction: false, reason: repeatable"])
def test_what_it_sets_does_not_outlive_it(scene: Scene, alone: str) -> None:
    scene.sql("CREATE SCHEMA other")
    spec(scene, f"sql: {{up: SET search_path TO other{alone}}}", "sql: {up: CREATE TABLE a (), down: DROP TABLE a}")

    scene.up()

    assert scene.one("SELECT relnamespace::regnamespace::text FROM pg_class WHERE relname = 'a'") == "public"


def test_without_a_transaction_what_is_done_already_is_not_done_again(scene: Scene) -> None:
    scene.sql("CREATE TABLE a (b int)")
    spec(
        scene,
        "sql: {up: INSERT INTO a VALUES (1), down: DELETE FROM a, transaction: false,"
        " verify: SELECT count(*) > 0 FROM a}",
    )
    scene.sql("INSERT INTO a VALUES (1)")

    scene.up()

    assert scene.one("SELECT count(*) FROM a") == 1


def test_a_verification_that_does_not_hold_refuses_the_phase(scene: Scene) -> None:
    spec(scene, "sql: {up: CREATE TABLE a (), down: DROP TABLE a, verify: SELECT false}")

    with pytest.raises(StepRefused, match=r"^1 failed verification"):
        scene.up()


@pytest.mark.parametrize("phase", ["expand", "backfill", "validate"])
def test_it_runs_in_the_phase_it_names(scene: Scene, phase: str) -> None:
    spec(scene, f"sql: {{up: CREATE TABLE a (), down: DROP TABLE a, phase: {phase}}}")

    scene.up(through=phase)

    assert scene.one("SELECT to_regclass('a') IS NOT NULL")
    assert scene.sql("SELECT leg FROM crossfade.step") == [(phase,)]


def test_in_contract_it_runs_in_the_stage_it_names_or_the_last(scene: Scene) -> None:
    spec(
        scene,
        "sql: {up: CREATE TABLE a (), down: DROP TABLE a, phase: contract, stage: retire}",
        "sql: {up: CREATE TABLE b (), down: DROP TABLE b, phase: contract}",
    )

    scene.up()

    assert dict(scene.sql("SELECT id, leg FROM crossfade.step")) == {"public/sql/0": "retire", "public/sql/1": "drop"}


def test_without_down_it_cannot_be_undone_and_that_is_said_before_anything_is_touched(scene: Scene) -> None:
    spec(scene, "sql: {up: CREATE TABLE a (), down: DROP TABLE a}", "sql: {up: CREATE TABLE b ()}")
    scene.up()

    with pytest.raises(Blocked, match="cannot be undone past expand"):
        scene.rollback()

    assert scene.one("SELECT to_regclass('a') IS NOT NULL AND to_regclass('b') IS NOT NULL")
