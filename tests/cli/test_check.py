"""crossfade check: specs and suites, without a database."""

from __future__ import annotations

import json

import pytest
from tests.cli.calls import Call
from tests.cli.specs import LOWER
from tests.scene import Scene


def test_a_sound_project_is_said_to_be_so_and_no_database_is_asked(
    scene: Scene, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.spec(LOWER)
    monkeypatch.delenv("APP_URL")

    result = call("check")

    assert (result.exit_code, result.stdout) == (0, "1 migration: nothing is wrong\n")


def test_suites_that_are_wrong_or_missing_are_told_with_specs_that_are(scene: Scene, call: Call) -> None:
    scene.spec(LOWER + "gates: {expand: [{suite: there_is_none}]}\n")
    scene.spec("changes: 5\n", id="n")
    (scene.root / "validations" / "bad.yaml").write_text(
        "suite: bad\ntable: users\nexpectations: [{expect_nothing: {}}]\n"
    )

    result = call("check")

    assert result.exit_code == 1
    assert "n.yaml:5:10: " in result.stdout
    assert "bad.yaml:3:" in result.stdout
    assert "there is no suite `there_is_none`" in result.stdout
    assert "3 problems" in result.stdout


def test_problems_as_json_have_file_line_and_column(scene: Scene, call: Call) -> None:
    scene.spec("changes: 5\n", id="n")

    result = call("check", "--json")

    (problem,) = json.loads(result.stdout)["problems"]
    assert result.exit_code == 1
    assert problem["file"] == str(scene.root / "migration_specs" / "n.yaml")
    assert (problem["line"], problem["column"]) == (5, 10)


def test_a_file_may_be_named_and_its_whole_project_is_checked(
    scene: Scene, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.spec(LOWER)
    scene.spec("changes: 5\n", id="n")
    monkeypatch.chdir(scene.root)

    result = call("check", "migration_specs/m.yaml", "migration_specs")

    assert result.stdout.startswith("migration_specs/n.yaml:5:10: ")
    assert "1 problem\n" in result.stdout
    assert call("check", "nowhere.yaml").exit_code == 2
