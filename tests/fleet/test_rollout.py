"""A migration over a fleet: waves, members that fail, members that come and go; the ledgers are the only state."""

from __future__ import annotations

import pytest
from tests.fleet.conftest import LOWER, NAMES, FleetScene

from crossfade.execute import SpecEdited
from crossfade.execute.fleet import Drifted, FleetError, take_back


def test_every_member_is_taken_through_all_legs_the_canary_first_and_contract_last(fleet: FleetScene) -> None:
    outcome = fleet.up()

    assert (outcome.ended, outcome.members) == ("complete", 4)
    assert set(fleet.states().values()) == {"complete"}
    assert {fleet.emails(name) for name in NAMES} == {"user7@example.com"}
    assert [each.wave for each in fleet.heard] == ["canary", "second", "rest", "rest"] * 2
    passed = [each.outcome.passed for each in fleet.heard if each.outcome is not None]
    assert passed[:4] == [("expand", "backfill", "validate")] * 4
    assert all(legs and legs[0] not in ("expand", "backfill", "validate") for legs in passed[4:])


def test_a_wave_is_not_begun_while_a_member_of_the_one_before_has_failed_and_then_goes_on(fleet: FleetScene) -> None:
    fleet.scene.sql("UPDATE users SET email = NULL WHERE id = 7", "bravo")

    outcome = fleet.up("validate")

    assert outcome.ended == "halted"
    assert [*outcome.failed] == ["bravo"]
    assert [fleet.states()[name] for name in ("coral", "delta")] == ["not started", "not started"]
    fleet.scene.sql("UPDATE users SET email = 'User7@Example.com' WHERE id = 7", "bravo")
    assert fleet.up("validate").ended == "reached"


def test_the_others_are_right_where_so_many_may_fail(fleet: FleetScene) -> None:
    fleet.fleet("on_error: {continue_up_to: 1}\nmax_parallel: 2")
    fleet.scene.sql("UPDATE users SET email = NULL WHERE id = 7", "bravo")

    outcome = fleet.up()

    assert (outcome.ended, [*outcome.failed]) == ("halted", ["bravo"])
    others = [each for name, each in fleet.standings().items() if name != "bravo"]
    assert all(each.has_passed("validate") and not each.has_passed("retire") for each in others)


def test_a_member_that_does_not_answer_is_named(fleet: FleetScene) -> None:
    fleet.fleet("on_error: {continue_up_to: 1}", each="{members: [{name: acme, database: DB}, {name: nobody}]}")
    path = fleet.root / "databases.yaml"
    path.write_text(path.read_text().replace("DB", fleet.database("acme")))

    outcome = fleet.up()

    assert [*outcome.failed] == ["nobody"]
    assert fleet.states() == {"acme": "running", "nobody": "unreachable"}


def test_a_member_that_is_not_as_the_canary_is_refused_by_name(fleet: FleetScene) -> None:
    fleet.sql("ALTER TABLE users ALTER email TYPE varchar(80)", "delta")

    outcome = fleet.up("expand")

    assert [*outcome.failed] == ["delta"]
    assert isinstance(outcome.failed["delta"], Drifted)
    assert "delta is not as acme" in outcome.failed["delta"].what
    assert fleet.states()["delta"] == "not started"


def test_a_member_that_joins_is_brought_to_where_the_others_are_before_contract(fleet: FleetScene) -> None:
    fleet.fleet(names=NAMES[:3])
    fleet.up("validate")
    fleet.fleet(names=NAMES)

    outcome = fleet.up()

    assert (outcome.ended, outcome.roster.joined) == ("complete", ("delta",))
    legs = [each.outcome.passed[0] for each in fleet.heard[3:] if each.outcome is not None]
    assert (fleet.heard[3].member, legs[0]) == ("delta", "expand")


def test_a_member_that_is_gone_is_named(fleet: FleetScene) -> None:
    fleet.up("expand")
    fleet.fleet(names=NAMES[:3])

    outcome = fleet.up("backfill")

    assert (outcome.ended, outcome.roster.vanished) == ("reached", ("delta",))


def test_the_next_wave_waits_for_its_gates(fleet: FleetScene) -> None:
    fleet.fleet("waves: [{name: canary, members: [acme]}, {name: rest, gates: [{soak: 1d}]}]")

    outcome = fleet.up("expand")

    assert (outcome.ended, [each.label for each in outcome.waiting]) == ("waiting", ["soak 1d"])
    assert fleet.states()["bravo"] == "not started"


def test_a_gate_before_a_wave_is_told_by_the_time_the_wave_before_ended(fleet: FleetScene) -> None:
    fleet.fleet("waves: [{name: canary, members: [acme]}, {name: rest, gates: [{soak: 1ms}]}]")

    assert fleet.up("expand").ended == "reached"


def test_a_spec_that_was_edited_under_way_is_refused_before_any_member_is_begun(fleet: FleetScene) -> None:
    fleet.up("expand")
    fleet.spec(LOWER.replace("lower(email)", "upper(email)"))

    with pytest.raises(SpecEdited, match="edited after m started in 4 of 4 members"):
        fleet.up()


def test_members_are_named_by_a_query_on_another_database(fleet: FleetScene) -> None:
    fleet.scene.sql("CREATE TABLE tenant (name text, dbname text, active bool)", "control")
    for name in NAMES:
        fleet.scene.sql(f"INSERT INTO tenant VALUES ('{name}', '{fleet.database(name)}', '{name}' <> 'coral')")
    query = "SELECT name, dbname AS database FROM tenant WHERE active ORDER BY name"
    fleet.fleet(each=f'{{query: "{query}", on: control}}')

    assert [*fleet.states()] == ["acme", "bravo", "delta"]


def test_members_are_named_by_a_pattern_of_databases(fleet: FleetScene) -> None:
    prefix = fleet.database("acme")[:10]
    fleet.fleet(each=f'{{databases: "{prefix}*"}}')

    assert [*fleet.states()] == [fleet.database("acme")]


def test_no_members_are_an_error_and_not_a_migration_that_is_complete(fleet: FleetScene) -> None:
    fleet.fleet(each='{databases: "nothing_is_called_so_*"}')

    with pytest.raises(FleetError, match="has no members"):
        fleet.up()


def test_all_members_are_taken_back(fleet: FleetScene) -> None:
    before = fleet.scene.schema("delta")
    fleet.up("validate")
    project = fleet.project()

    failed = take_back(project, project.of_fleets[0], fleet.heard.append)

    assert failed == {}
    assert set(fleet.states().values()) == {"undone"}
    assert fleet.scene.schema("delta") == before
    assert fleet.emails("delta") == "User7@Example.com"
