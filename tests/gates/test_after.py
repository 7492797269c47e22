"""A gate waits for another migration, in its own ledger or in that of another database."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.conftest import Databases
from tests.scene import Scene

from crossfade.execute import Outcome, pause
from crossfade.gates import Answer
from crossfade.spec import SpecError

ADD = "changes: [{{add_column: {{table: {table}, column: extra, type: text}}}}]\n"
RENAME = "changes: [{rename_column: {table: users, from: name, to: nickname}}]\n"


@pytest.fixture
def two(scene: Scene) -> Scene:
    """`first` renames a column of users and goes through all stages; `second` waits for it."""
    scene.sql("CREATE TABLE users (id int PRIMARY KEY, name text); CREATE TABLE orders (id int PRIMARY KEY)")
    scene.spec(RENAME, id="first")
    return scene


def second(scene: Scene, gates: str, *, database: str | None = None) -> Outcome:
    scene.spec(ADD.format(table="orders") + f"gates: {gates}\n", id="second", database=database)
    return scene.up(id="second")


def answer(scene: Scene, gates: str) -> Answer:
    (waiting,) = second(scene, gates).waiting
    return waiting.answer


def test_it_waits_until_the_other_migration_is_complete(two: Scene) -> None:
    assert answer(two, "{expand: [{after: first}]}").reason == "first has not started"

    two.up(id="first", through="backfill")
    assert answer(two, "{expand: [{after: first}]}").reason == "first is at validate"

    two.up(id="first")
    assert second(two, "{expand: [{after: first}]}").ended == "complete"


@pytest.mark.parametrize(
    ("passed", "through", "holds"),
    [
        ("expand", "expand", True),
        ("backfill", "expand", False),
        ("retire", "validate", False),
        ("retire", "retire", True),
        ("cutover", "validate", True),  # in which a renamed column has nothing to do
        ("contract", "retire", False),
    ],
)
def test_it_holds_from_when_the_phase_or_stage_has_passed(two: Scene, passed: str, through: str, holds: bool) -> None:
    two.up(id="first", through=through)

    outcome = second(two, f"{{expand: [{{after: first, passed: {passed}}}]}}")

    assert outcome.ended == ("complete" if holds else "waiting")


def test_one_that_is_paused_or_undone_is_waited_for_and_it_is_told_why(two: Scene) -> None:
    two.up(id="first", through="expand")
    pause(two.project(), "first")
    assert answer(two, "{expand: [{after: first}]}").reason == "first is at backfill and is paused"

    two.rollback(id="first")
    undone = answer(two, "{expand: [{after: first}]}")
    assert undone.state == "waits"
    assert undone.reason.startswith("first was undone, so this waits until `crossfade up first`")


def test_it_may_be_in_another_database(tmp_path: Path, databases: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    app, shop = databases("app", "shop")
    scene = Scene(tmp_path, {"app": app, "shop": shop}, monkeypatch.setenv)
    scene.sql("CREATE TABLE users (id int PRIMARY KEY, name text)")
    scene.sql("CREATE TABLE orders (id int PRIMARY KEY)", "shop")
    scene.spec(RENAME, id="first")
    gates = "{expand: [{after: first, passed: expand}]}"

    waits = second(scene, gates, database="shop")
    scene.up(id="first", through="expand")
    holds = second(scene, gates, database="shop")
    scene.close()

    assert (waits.waiting[0].answer.reason, holds.ended) == ("first has not started", "complete")


@pytest.mark.parametrize(
    ("gates", "what", "fix"),
    [
        ("{expand: [{after: frist}]}", "names `frist`, which is no migration here", "did you mean `first`?"),
        ("{expand: [{after: second}]}", "a gate waits for its own migration", "delete it"),
        ("{expand: [{after: first, passed: brown}]}", "`passed` wants", ""),
    ],
)
def test_what_cannot_be_waited_for_is_refused_where_it_stands(two: Scene, gates: str, what: str, fix: str) -> None:
    with pytest.raises(SpecError) as refused:
        second(two, gates)

    (problem,) = refused.value.problems
    assert what in problem.what
    assert fix in (problem.fix or "")
    assert problem.where is not None
    assert (problem.where.file.name, problem.where.line) == ("second.yaml", 6)


def test_a_stage_that_the_other_never_comes_to_is_refused(two: Scene) -> None:
    two.spec(RENAME + "contract: {stages: [{retire: }]}\n", id="first")

    with pytest.raises(SpecError, match="waits for `drop` of `first`, which ends contract with `retire`"):
        second(two, "{expand: [{after: first, passed: drop}]}")


def test_gates_that_wait_for_each_other_are_refused_and_those_that_take_turns_are_not(two: Scene) -> None:
    two.spec(RENAME + "gates: {backfill: {before: [{after: second, passed: expand}]}}\n", id="first")
    turns = "{validate: [{after: first, passed: expand}]}"
    assert second(two, turns).waiting[0].point == "after validate"
    assert two.up(id="first").ended == "complete"
    assert second(two, turns).ended == "complete"

    with pytest.raises(SpecError, match="migrations wait for each other: `"):
        second(two, "{expand: [{after: first, passed: validate}]}")
