"""The command line on a migration of a fleet."""

from __future__ import annotations

import json

import pytest
from tests.cli.calls import Call
from tests.fleet.conftest import NAMES, FleetScene


@pytest.fixture
def call(fleet: FleetScene) -> Call:
    return Call(fleet.root)


def test_plan_shows_the_canarys_plan_the_waves_and_who_differs(fleet: FleetScene, call: Call) -> None:
    fleet.sql("ALTER TABLE users ADD note text", "delta")

    said = call("plan", "m").output

    assert "fleet tenants: 4 members, 4 at a time" in said
    assert "wave canary: 1: acme" in said
    assert "wave rest: 2: coral, delta" in said
    assert [line for line in said.splitlines() if "differs" in line] == [
        "  delta differs: column public.users.note: was created"
    ]


def test_up_tells_of_each_member_and_then_of_all(fleet: FleetScene, call: Call) -> None:
    fleet.fleet("waves: [{name: canary, members: [acme]}, {name: rest, gates: [{soak: 1d}]}]")

    ended = call("up", "--yes")

    assert ended.exit_code == 0
    assert "m in acme: canary: reached (expand, backfill, validate)" in ended.output
    assert "m: before wave rest: soak 1d: " in ended.output
    assert "m: waiting; 4 members" in ended.output


def test_up_exits_with_1_when_a_member_failed_and_names_it(fleet: FleetScene, call: Call) -> None:
    fleet.scene.sql("DROP TABLE users", "acme")
    fleet.scene.sql("DROP TABLE users", "bravo")
    fleet.fleet("", names=("coral", "bravo", "delta"))

    ended = call("up", "m", "--yes")

    assert ended.exit_code == 1
    assert "m: failed in bravo" in ended.output
    assert "m in bravo was refused" in ended.stderr


def test_status_is_a_matrix_of_waves_and_legs(fleet: FleetScene, call: Call) -> None:
    fleet.fleet("waves: [{name: canary, members: [acme]}, {name: rest, gates: [{soak: 1d}]}]")
    fleet.up()

    rows = [line.split() for line in call("status").output.splitlines()]

    assert rows == [
        ["m:", "wave", "members", "not", "started", "validate"],
        ["canary", "1", "1"],
        ["rest", "3", "3"],
    ]
    (told,) = json.loads(call("status", "--json").output)
    assert [each["state"] for each in told["members"]] == ["running", *["not started"] * 3]


def test_a_command_may_be_about_one_member(fleet: FleetScene, call: Call) -> None:
    assert call("--member", "coral", "up", "m", "--yes").exit_code == 0

    assert fleet.states() == {name: "complete" if name == "coral" else "not started" for name in NAMES}
    assert "complete" in call("--member", "tenants/coral", "status").output


def test_a_command_of_one_database_asks_which_member_is_meant(fleet: FleetScene, call: Call) -> None:
    ended = call("why", "m")

    assert ended.exit_code == 2
    assert "crossfade --member NAME" in ended.stderr


def test_rollback_takes_the_fleet_back(fleet: FleetScene, call: Call) -> None:
    fleet.up("expand")

    assert call("rollback", "m", "--yes").exit_code == 0
    assert set(fleet.states().values()) == {"undone"}
    assert "was taken back in acme" in call("up", "--yes").output


def test_a_fleet_that_was_taken_back_to_a_phase_stays_there_unless_named(fleet: FleetScene, call: Call) -> None:
    fleet.up("validate")
    call("rollback", "m", "--to", "expand", "--yes")

    left_out = call("up", "--yes", "--phase", "validate")
    stayed = [standing.has_passed("backfill") for standing in fleet.standings().values()]
    call("up", "m", "--yes", "--phase", "validate")

    assert "m: was taken back in acme: name it to go on with it" in left_out.output
    assert stayed == [False] * len(NAMES)
    assert all(standing.has_passed("validate") for standing in fleet.standings().values())


def test_check_counts_migrations_of_fleets(fleet: FleetScene, call: Call) -> None:
    assert call("check").output == "1 migration: nothing is wrong\n"
