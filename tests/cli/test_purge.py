"""crossfade purge: old values go when their time is over and somebody agrees; a way back past them is refused."""

from __future__ import annotations

import json

import pytest
from tests.cli.calls import Call, state
from tests.cli.specs import users
from tests.scene import Scene

UPDATE = "changes: [{update_rows: {table: users, set: {age: \"'0'\"}, where: id <= 10}}]\n"
RENAME = """
changes: [{rename_column: {table: users, from: email, to: address}}]
contract: {stages: [{retire: {}}, {archive: {keep: 10d}}, {drop: {}}]}
"""
OVER = "UPDATE crossfade.archive SET keep_until = now() - interval '1 minute'"


def kept(scene: Scene) -> int:
    return scene.one("SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname ~ '^_cf_.*_(archive|before)_'")


@pytest.fixture(params=[RENAME, UPDATE], ids=["archive", "update_rows"])
def complete(scene: Scene, request: pytest.FixtureRequest) -> Scene:
    users(scene, request.param)
    assert scene.up().ended == "complete"
    assert kept(scene) == 1
    return scene


def test_what_is_still_to_be_kept_is_not_offered(complete: Scene, call: Call) -> None:
    assert "no old values are kept for longer" in call("purge", "--yes").stdout
    assert kept(complete) == 1


def test_it_lists_and_drops_nothing_unless_told_to(complete: Scene, call: Call) -> None:
    complete.sql(OVER)
    before = state(complete)

    result = call("purge")

    assert "m: public.users (" in result.stdout
    assert "nothing was dropped; `crossfade purge --yes`" in result.stdout
    assert state(complete) == before


def test_with_yes_it_drops_and_the_audit_has_it(complete: Scene, call: Call) -> None:
    complete.sql(OVER)

    (gone,) = json.loads(call("purge", "m", "--yes", "--json").stdout)

    assert (gone["migration"], gone["relation"], gone["purged"]) == ("m", "public.users", True)
    assert kept(complete) == 0
    assert [e.body["stored_in"] for e in complete.ledger().events("m") if e.kind == "old values purged"] == [
        gone["stored_in"]
    ]
    assert json.loads(call("purge", "--json").stdout) == []
    assert complete.one("SELECT holder FROM crossfade.migration") is None


def test_after_it_a_rollback_is_refused_in_words(complete: Scene, call: Call) -> None:
    complete.sql(OVER)
    call("purge", "--yes")
    before = complete.schema()

    result = call("rollback", "m", "--yes")

    assert result.exit_code == 1
    assert "were purged on" in result.stderr
    assert complete.schema() == before
    assert call("status").exit_code == 0


def test_after_it_nothing_goes_back_to_the_leg_that_kept_the_values(complete: Scene, call: Call) -> None:
    complete.sql(OVER)
    leg = complete.one("SELECT leg FROM crossfade.archive")
    call("purge", "--yes")
    before = state(complete)

    result = call("rollback", "m", "--to", leg, "--yes")

    assert result.exit_code == 1
    assert f"m cannot be taken back to {leg} or past it" in result.stderr
    assert state(complete) == before


def test_a_migration_that_is_not_complete_keeps_its_old_values(scene: Scene, call: Call) -> None:
    users(scene, UPDATE + "gates: {backfill: [{approval: {count: 1}}]}\n")
    scene.up()
    scene.sql(OVER)

    assert json.loads(call("purge", "--yes", "--json").stdout) == []
    assert kept(scene) == 1


def test_whoever_works_on_the_migration_is_not_disturbed(complete: Scene, call: Call) -> None:
    complete.sql(OVER)
    complete.sql("UPDATE crossfade.migration SET holder = 'ada', lease_until = now() + interval '1 hour'")

    result = call("purge", "--yes")

    assert "ada works on m now" in result.stderr
    assert kept(complete) == 1


def test_status_shows_until_when_old_values_are_kept(complete: Scene, call: Call) -> None:
    (shown,) = json.loads(call("status", "--json").stdout)
    until = complete.one("SELECT keep_until FROM crossfade.archive")
    assert shown["kept_until"] == until.isoformat()
    assert "old values kept until" in call("status").stdout

    complete.sql(OVER)
    assert "`crossfade purge` drops them" in call("status").stdout.replace("\n", " ")
    call("purge", "--yes")

    assert "kept until" not in call("status").stdout
