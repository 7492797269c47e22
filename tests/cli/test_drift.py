"""crossfade drift: what no migration made, in words or as JSON; accepted only with a reason."""

from __future__ import annotations

import json

import pytest
from tests.cli.calls import Call
from tests.cli.specs import users
from tests.scene import Scene

ADD = "changes: [{add_column: {table: users, column: note, type: text}}]\n"


@pytest.fixture
def complete(scene: Scene) -> Scene:
    users(scene, ADD)
    scene.up()
    return scene


def test_a_database_without_a_ledger_says_that_nothing_is_known(scene: Scene, call: Call) -> None:
    result = call("drift")
    assert result.exit_code == 0
    assert result.stdout.startswith("app: nothing to compare with yet")


def test_without_drift_it_ends_with_0(complete: Scene, call: Call) -> None:
    result = call("drift", "app")
    assert (result.exit_code, result.stdout) == (0, "app: as migrations have made it\n")


def test_drift_ends_with_1_and_is_there_as_json(complete: Scene, call: Call) -> None:
    complete.sql("COMMENT ON TABLE users IS 'by hand'")
    result = call("drift", "--json")
    (found,) = json.loads(result.stdout)
    assert result.exit_code == 1
    assert found["differences"] == [{"kind": "table", "object": "public.users", "what": "comment was none, is by hand"}]


def test_accepted_drift_is_expected(complete: Scene, call: Call) -> None:
    complete.sql("COMMENT ON TABLE users IS 'by hand'")
    accepted = call("drift", "--accept", "--because", "for the auditors")
    assert (accepted.exit_code, accepted.stdout.splitlines()[0]) == (0, "app: accepted 1 difference")
    assert call("drift").exit_code == 0


@pytest.mark.parametrize("given", [("--accept",), ("--because", "so"), ("--accept", "--because", " ")])
def test_a_reason_and_an_acceptance_go_together(complete: Scene, call: Call, given: tuple[str, ...]) -> None:
    result = call("drift", *given)
    assert result.exit_code == 2
    assert "--accept and --because go together" in result.stderr


def test_an_unknown_database_is_wrong_use(complete: Scene, call: Call) -> None:
    result = call("drift", "ap")
    assert result.exit_code == 2
    assert "did you mean" in result.stderr.lower()
