"""crossfade pause, resume and rollback."""

from __future__ import annotations

import pytest
from tests.cli.calls import Call, state
from tests.cli.specs import ADD, APPROVED, users
from tests.scene import Scene


@pytest.fixture
def waiting(scene: Scene, call: Call) -> Scene:
    """The migration m waits before contract."""
    users(scene, APPROVED)
    assert call("up", "--yes").exit_code == 0
    return scene


def test_a_paused_migration_stands_until_it_is_resumed(waiting: Scene, call: Call) -> None:
    assert "crossfade resume m" in call("pause", "m").stdout
    assert "m is paused: `crossfade resume m`" in call("up", "m", "--yes").stdout
    assert "crossfade up m" in call("resume", "m").stdout
    assert "m waits before cutover" in call("up", "m", "--yes").stdout


def test_a_migration_whose_spec_was_edited_can_still_be_paused(waiting: Scene, call: Call) -> None:
    waiting.spec(APPROVED.replace("lower(email)", "upper(email)"))

    assert call("pause", "m").exit_code == 0


@pytest.mark.parametrize("command", ["pause", "resume", "rollback", "conflicts"])
def test_what_has_not_started_cannot_be_held_or_taken_back(scene: Scene, call: Call, command: str) -> None:
    users(scene)
    yes = ["--yes"] if command == "rollback" else []

    result = call(command, "m", *yes)

    assert result.exit_code == 1
    assert "m has not started" in result.stderr


def test_a_rollback_says_what_it_takes_back_and_leaves_the_schema_as_it_was(scene: Scene, call: Call) -> None:
    users(scene, APPROVED)
    before = scene.schema()
    call("up", "--yes")

    result = call("rollback", "m", "--yes")

    assert result.exit_code == 0
    assert (
        "validate: make the unique index over public.users (email) a constraint: drop the constraint" in result.stdout
    )
    assert result.stdout.splitlines()[-1] == "m is undone"
    assert scene.schema() == before


def test_a_rollback_keeps_what_it_is_told_to_keep(waiting: Scene, call: Call) -> None:
    result = call("rollback", "m", "--to", "backfill", "--yes")

    assert result.stdout.splitlines()[-1] == "m is undone back to backfill; `crossfade up m` goes on from there"
    assert set(waiting.ledger().legs("m")) == {"expand", "backfill"}
    assert "m waits before cutover" in call("up", "m", "--yes").stdout


def test_a_rollback_without_consent_or_to_a_stage_there_is_not_changes_nothing(waiting: Scene, call: Call) -> None:
    before = state(waiting)

    silent, nowhere = call("rollback", "m"), call("rollback", "m", "--to", "retire", "--yes")
    code, said = call.on_terminal("rollback", "m", answers={"Take m back? [y/N]: ": "n"})

    assert (silent.exit_code, nowhere.exit_code, code) == (2, 2, 1)
    assert "say --yes" in silent.stderr
    assert "it has: expand, backfill, validate, cutover, archive, drop" in nowhere.stderr
    assert "nothing was done" in said
    assert state(waiting) == before


def test_a_migration_whose_spec_is_gone_is_held_told_of_and_taken_back_by_its_id(waiting: Scene, call: Call) -> None:
    (waiting.root / "migration_specs" / "m.yaml").unlink()

    for command in (
        ["pause", "m"],
        ["resume", "m"],
        ["conflicts", "m"],
        ["audit", "log", "m"],
        ["rollback", "m", "--yes"],
    ):
        assert call(*command).exit_code == 0, command


def test_what_would_be_refused_is_not_asked_about(scene: Scene, call: Call) -> None:
    users(scene, ADD)
    scene.spec("after: [m]\nchanges: [{create_index: {table: users, columns: [seen], name: by_seen}}]\n", id="n")
    call("up", "--yes")

    code, said = call.on_terminal("rollback", "m", answers={"[y/N]: ": "n"})

    assert code == 1
    assert "m cannot be taken back while n stands on it" in said
    assert "[y/N]" not in said


def test_a_person_says_what_a_sql_did_that_was_cut_off(scene: Scene, call: Call) -> None:
    scene.sql("CREATE TABLE log (n int)")
    scene.spec(
        """
changes:
  - sql: {transaction: false, up: INSERT INTO log VALUES (1), down: DELETE FROM log, reason: repeatable}
"""
    )
    assert scene.start_process(fault="after statement:1").ending().killed
    scene.sql("UPDATE crossfade.migration SET lease_until = now() - interval '1s'")

    refused = call("rollback", "m", "--yes")
    assert refused.exit_code == 1
    assert "--run-down public/sql/0" in " ".join(refused.stderr.split())
    assert "has no step public/sql/7" in call("rollback", "m", "--skip-down", "public/sql/7", "--yes").stderr

    assert call("rollback", "m", "--run-down", "public/sql/0", "--yes").exit_code == 0
    assert scene.one("SELECT count(*) FROM log") == 0


def test_a_rollback_after_the_drop_says_what_it_cannot_know_before_and_after(scene: Scene, call: Call) -> None:
    scene.sql("CREATE TABLE users (id int PRIMARY KEY, nick text)")
    scene.sql("INSERT INTO users SELECT i, 'Nick ' || i FROM generate_series(1, 9) AS i")
    scene.spec("changes: [{drop_column: {table: users, column: nick}}]\n")
    call("up", "--yes")
    scene.sql("DELETE FROM users WHERE id = 1; INSERT INTO users VALUES (1), (10), (11)")

    _, asked = call.on_terminal("rollback", "m", answers={"Take m back? [y/N]: ": "n"})
    told = call("rollback", "m", "--yes").stdout

    assert "a key used again gets those of the row before" in " ".join(asked.split())
    assert "nothing is given back to 2 rows" in told
    (event,) = (event for event in scene.ledger().events("m") if event.kind == "rows not known")
    assert event.body["rows"] == 2
    assert scene.sql("SELECT id, nick FROM users WHERE id IN (1, 2, 10) ORDER BY id") == [
        (1, "Nick 1"),
        (2, "Nick 2"),
        (10, None),
    ]
