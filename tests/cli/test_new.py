"""crossfade new: a spec to begin with."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.calls import Call

from crossfade.changes import CHANGES


@pytest.fixture
def call(tmp_path: Path) -> Call:
    (tmp_path / "databases.yaml").write_text("shop: {url: env:SHOP_URL}\nstock: {url: env:STOCK_URL}\n")
    return Call(tmp_path)


@pytest.mark.parametrize("kind", sorted(CHANGES.names()))
def test_what_is_written_for_a_kind_is_a_sound_spec(call: Call, kind: str) -> None:
    result = call("new", kind, "something_new")

    assert result.stdout.splitlines()[0] == "wrote migration_specs/0001_something_new.yaml"
    assert call("check").stdout == "1 migration: nothing is wrong\n"


def test_it_names_a_database_of_the_project_and_what_else_can_be_said(call: Call) -> None:
    call("new", "add_column", "joined_at")

    text = (call.root / "migration_specs" / "0001_joined_at.yaml").read_text()
    assert "migration: joined_at\ntitle: Joined at\n" in text
    assert "\ndatabase: shop\n" in text
    assert "\n#   comment:                # Its comment\n" in text
    assert "\n#   table:" not in text


def test_it_names_another_database_of_the_project_where_rows_go_there(call: Call) -> None:
    call("new", "copy_table", "shared_orders")

    text = (call.root / "migration_specs" / "0001_shared_orders.yaml").read_text()
    assert "\ndatabase: shop\n" in text
    assert "to: {database: stock}" in text


def test_it_is_numbered_after_the_last_one(call: Call) -> None:
    (call.root / "migration_specs" / "deep").mkdir(parents=True)
    (call.root / "migration_specs" / "deep" / "0041_before.yaml").write_text("")

    assert "0042_joined_at.yaml" in call("new", "add_column", "joined_at").stdout


def test_a_project_inside_the_folder_of_specs_does_not_count(call: Call) -> None:
    other = call.root / "migration_specs" / "examples"
    (other / "migration_specs").mkdir(parents=True)
    (other / "databases.yaml").write_text("app: {url: env:APP_URL}\n")
    (other / "migration_specs" / "0041_before.yaml").write_text("")

    assert "0001_joined_at.yaml" in call("new", "add_column", "joined_at").stdout


def test_an_id_that_is_taken_is_refused_and_nothing_is_written(call: Call) -> None:
    call("new", "add_column", "joined_at")
    result = call("new", "drop_column", "joined_at")

    assert result.exit_code == 1
    assert "migration_specs/0001_joined_at.yaml:4:12: there is a migration `joined_at` already" in result.stderr
    assert len([*(call.root / "migration_specs").iterdir()]) == 1


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("add_colum", "x"), "there is no kind of change `add_colum`"),
        (("add_column", "Joined-At"), "`Joined-At` is no id of a migration"),
    ],
)
def test_misuse_is_told(call: Call, arguments: tuple[str, str], what: str) -> None:
    result = call("new", *arguments)

    assert (result.exit_code, what in result.stderr) == (2, True)
    assert not (call.root / "migration_specs").exists()


def test_outside_of_a_project_it_is_refused(tmp_path: Path) -> None:
    assert Call(tmp_path)("new", "add_column", "joined_at").exit_code in (1, 2)
