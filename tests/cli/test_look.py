"""crossfade status and plan: what they tell of databases that do not answer, of rows in conflict, of what is done."""

from __future__ import annotations

import json

import pytest
from tests.cli.calls import Call
from tests.cli.specs import ADD, users
from tests.scene import Scene

NUMBERS = """
changes: [{change_column: {table: users, column: age, to: {type: int}, up: "age::int", down: "age::text"}}]
backfill: {max_conflicts: 5}
"""


@pytest.mark.parametrize("command", [["status"], ["up", "--yes"], ["up", "m", "--yes"], ["plan", "m"]])
def test_a_database_that_does_not_answer_is_told_with_its_place_and_what_to_do(
    scene: Scene, call: Call, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    users(scene)
    monkeypatch.setenv("APP_URL", "postgresql://me@127.0.0.1:1/x")

    result = call(*command)

    assert result.exit_code == 1
    assert "databases.yaml:1:1: database `app` cannot be reached" in result.stderr
    assert "fix: check env:APP_URL and that the server runs" in result.stderr


def test_a_database_that_does_not_answer_is_told_once_by_status(
    scene: Scene, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    users(scene)
    scene.spec(ADD, id="n")
    monkeypatch.setenv("APP_URL", "postgresql://me@127.0.0.1:1/x")

    assert call("status").stderr.count("fix:") == 1


def test_rows_in_conflict_are_told_with_the_command_that_lists_them(scene: Scene, call: Call) -> None:
    users(scene, NUMBERS)
    scene.sql("UPDATE users SET age = 'unknown' WHERE id = 7")

    refused = call("up", "--yes")

    assert refused.exit_code == 1
    for said in (refused.stderr, json.loads(call("status", "--json").stdout)[0]["problem"]):
        assert "1 rows in conflict (`crossfade conflicts m` lists them)" in said


def test_the_plan_of_a_complete_migration_is_told_as_done(scene: Scene, call: Call) -> None:
    users(scene, ADD)
    assert "Complete since" not in call("plan", "m").stdout
    call("up", "--yes")

    assert "Complete since 20" in call("plan", "m").stdout
    assert json.loads(call("plan", "m", "--format", "json").stdout)["completed"] is not None
