"""crossfade init: a project that runs at once, on a PostgreSQL of its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Generator
from pathlib import Path
from tempfile import mkdtemp

import jsonschema
import pytest
import yaml
from tests.cli.calls import Call
from typer.testing import CliRunner

from crossfade.cli import app


@pytest.fixture
def folder() -> Generator[Path]:
    """Where any account may go, for root's PostgreSQL runs as another one."""
    made = Path(mkdtemp(prefix="cf-", dir="/tmp"))
    made.chmod(0o755)
    yield made / "my"
    shutil.rmtree(made)


@pytest.fixture
def fresh(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """A project that was made just now."""
    monkeypatch.delenv("APP_DATABASE_URL", raising=False)
    assert CliRunner().invoke(app, ["init", str(folder)]).exit_code == 0
    return Call(folder)


def test_a_new_project_is_sound(fresh: Call) -> None:
    assert fresh("check").stdout == "1 migration: nothing is wrong\n"


def test_the_schemas_it_comes_with_accept_its_files(fresh: Call) -> None:
    for path, kind in (
        ("databases.yaml", "databases"),
        ("migration_specs/0001_normalize_emails.yaml", "migration"),
        ("validations/users_emails.yaml", "suite"),
    ):
        text = (fresh.root / path).read_text()
        schema = (fresh.root / path).parent / text.splitlines()[0].partition("$schema=")[2]
        assert schema.resolve() == fresh.root.resolve() / ".crossfade" / f"{kind}.schema.json"
        jsonschema.validate(yaml.safe_load(text), json.loads(schema.read_text()))


def test_it_runs_at_once_keeps_its_database_and_leaves_no_server_behind(fresh: Call) -> None:
    first = fresh("up", "--yes")
    assert (first.exit_code, "starting a PostgreSQL of this project's own" in first.stderr) == (0, True)
    assert "normalize_emails waits before cutover" in first.stdout

    assert fresh("approve", "normalize_emails").exit_code == 0
    last = fresh("up", "--yes")

    assert (last.exit_code, last.stderr) == (0, "")
    assert last.stdout.splitlines()[-1] == "normalize_emails is complete"
    assert not (fresh.root / ".crossfade" / "postgres" / "postmaster.pid").exists()


def test_two_commands_at_once_share_the_server(fresh: Call) -> None:
    fresh("status")
    both = [fresh.begin("status"), fresh.begin("plan", "normalize_emails")]

    for process in both:
        _, err = process.communicate(timeout=120)
        assert (process.returncode, err) == (0, "")


def test_a_variable_that_is_set_is_taken_and_no_server_started(
    fresh: Call, monkeypatch: pytest.MonkeyPatch, database: str
) -> None:
    monkeypatch.setenv("APP_DATABASE_URL", database)

    result = fresh("plan", "normalize_emails")

    assert result.exit_code == 1
    assert "users" in result.stderr
    assert not (fresh.root / ".crossfade" / "postgres").exists()


def test_a_folder_that_is_not_empty_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")

    result = CliRunner().invoke(app, ["init", str(tmp_path)])

    assert result.exit_code == 2
    assert "is not an empty folder" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")

    assert CliRunner().invoke(app, ["init", str(tmp_path / "mine")]).exit_code == 2


def test_a_folder_with_only_a_git_repository_counts_as_empty(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()

    assert CliRunner().invoke(app, ["init", str(tmp_path)]).exit_code == 0
