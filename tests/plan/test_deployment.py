"""Versions of services beside a migration: which gates the plan puts for them, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from tests.scene import Scene

from crossfade.changes import Refused
from crossfade.plan import Plan

RENAME = "{rename_column: {table: users, from: email, to: address}}"
SWAP = "{change_column: {table: users, column: age, to: {type: int}, up: 'age::int', down: 'age::text'}}"
API = "{service: profile-api, writes_new: 2.4.0, reads_new: 2.4.0, without_old: 2.6.0}"


@pytest.fixture
def two(scene: Scene, databases: Callable[..., tuple[str, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    """A second database, `other`, with a table of its own."""
    (other,) = databases("other")
    with psycopg.connect(other) as connection:
        connection.execute("CREATE TABLE logins (id int PRIMARY KEY)")
    monkeypatch.setenv("OTHER_URL", other)
    file = scene.root / "databases.yaml"
    file.write_text(file.read_text() + "other: {url: env:OTHER_URL}\n")


def plan(scene: Scene, *applications: str, change: str = RENAME, more: str = "") -> Plan:
    scene.sql("CREATE TABLE IF NOT EXISTS users (id int PRIMARY KEY, email text, age text)")
    said = "".join(f"  - {each}\n" for each in applications)
    scene.spec(f"changes: [{change}]\napplications:\n{said}{more}")
    return scene.runner().plan(scene.migration())


def refusal(scene: Scene, *applications: str, change: str = RENAME, more: str = "") -> Refused:
    with pytest.raises(Refused) as caught:
        plan(scene, *applications, change=change, more=more)
    return caught.value


def deployed(found: Plan) -> dict[str, list[dict[str, object]]]:
    """The gates `deployed` of each point."""
    return {
        at.point: [gate.body for gate in at.gates if gate.kind == "deployed"]
        for at in found.gates
        if any(gate.kind == "deployed" for gate in at.gates)
    }


def test_what_takes_the_old_name_waits_for_the_version_that_does_without_it(scene: Scene) -> None:
    wanted = {"deployed": {"service": "profile-api", "at_least": "2.6.0"}}

    assert deployed(plan(scene, API)) == {"before retire": [wanted]}


def test_where_the_name_stays_the_swap_waits_for_it(scene: Scene) -> None:
    assert list(deployed(plan(scene, API, change=SWAP))) == ["before cutover"]


def test_where_only_the_sync_ends_that_waits_for_it(scene: Scene) -> None:
    added = "{add_column: {table: users, column: years, type: int, up: 'age::int', down: {age: 'years::text'}}}"

    assert list(deployed(plan(scene, API, change=added))) == ["before archive"]


def test_a_trial_without_the_old_columns_waits_for_it_too(scene: Scene) -> None:
    stages = "contract: {stages: [{brownout: }, {retire: }, {archive: }, {drop: }]}\n"

    assert list(deployed(plan(scene, API, more=stages))) == ["before brownout"]


def test_versions_that_see_views_need_the_old_shape_until_these_go(scene: Scene) -> None:
    shown = RENAME.replace("address", "address, strategy: versions")

    assert list(deployed(plan(scene, API, change=shown))) == ["before retire"]


def test_rules_that_bind_late_wait_for_the_version_that_writes_the_new_shape(scene: Scene) -> None:
    found = plan(scene, API, change=SWAP.replace("type: int", "type: int, nullable: false"), more="enforce: contract\n")

    assert {point: gates[0]["deployed"] for point, gates in deployed(found).items()} == {
        "before tighten": {"service": "profile-api", "at_least": "2.4.0"},
        "before cutover": {"service": "profile-api", "at_least": "2.6.0"},
    }


def test_nothing_waits_where_the_old_shape_stays(scene: Scene) -> None:
    found = plan(scene, API, change="{create_index: {table: users, name: by_email, columns: [email]}}")

    assert deployed(found) == {}


def test_each_of_several_services_is_waited_for(scene: Scene) -> None:
    found = plan(scene, API, "{service: reports, without_old: '7', allow_none: true}")

    assert [gate["deployed"] for gate in deployed(found)["before retire"]] == [
        {"service": "profile-api", "at_least": "2.6.0"},
        {"service": "reports", "at_least": "7", "allow_none": True},
    ]


def test_a_service_may_tell_its_versions_itself(scene: Scene) -> None:
    told = "{service: profile-api, without_old: 2.6.0, url: env:PROFILE_VERSIONS, path: '$[*].version'}"

    (gate,) = deployed(plan(scene, told))["before retire"]

    assert gate["deployed"] == {"url": "env:PROFILE_VERSIONS", "path": "$[*].version", "at_least": "2.6.0"}


def test_a_gate_of_the_spec_that_asks_as_much_is_enough(scene: Scene) -> None:
    written = "gates: {contract: [{deployed: {service: profile-api, at_least: 2.6.1}}]}\n"

    (gate,) = deployed(plan(scene, API, more=written))["before retire"]

    assert gate["deployed"] == {"service": "profile-api", "at_least": "2.6.1"}


def test_a_gate_that_a_version_passes_which_needs_the_old_shape_is_refused_at_its_place(scene: Scene) -> None:
    written = "gates: {contract: [{deployed: {service: profile-api, at_least: 2.4.0}}]}\n"

    (problem,) = refusal(scene, API, more=written).problems

    assert problem.what == "this gate is content with profile-api 2.4.0, which still needs the old shape"
    assert problem.where is not None
    assert problem.where.line == 8


def test_a_contract_that_every_known_version_needs_is_refused_with_the_ways_out(scene: Scene) -> None:
    (problem,) = refusal(scene, "{service: profile-api, reads_new: 2.4.0}").problems

    assert problem.what == "`retire` takes from profile-api what all its versions need in app"
    assert problem.fix is not None
    assert "without_old" in problem.fix
    assert "approval" in problem.fix
    assert problem.where is not None
    assert problem.where.line == 7


@pytest.mark.parametrize("gate", ["approval: {}", "unused: users.email, for: 7d"])
def test_unless_somebody_is_asked_in_contract_who_can_know(scene: Scene, gate: str) -> None:
    found = plan(scene, "{service: profile-api, reads_new: 2.4.0}", more=f"gates: {{contract: [{{{gate}}}]}}\n")

    assert deployed(found) == {}


def test_an_approval_before_expand_says_nothing_of_what_runs_at_the_end(scene: Scene) -> None:
    error = refusal(scene, "{service: profile-api}", more="gates: {expand: [{approval: {}}]}\n")

    assert "what all its versions need" in error.what


@pytest.mark.usefixtures("two")
def test_of_a_service_over_two_databases_the_sessions_of_both_count(scene: Scene) -> None:
    change = f"{RENAME}, {{drop_table: {{database: other, table: logins}}}}"

    gates = deployed(plan(scene, API, change=change))["before retire"]

    assert [gate.get("database") for gate in gates] == [None, "other"]


@pytest.mark.usefixtures("two")
def test_of_a_service_of_one_of_them_those_there(scene: Scene) -> None:
    change = f"{RENAME}, {{drop_table: {{database: other, table: logins}}}}"

    gates = deployed(plan(scene, "{service: audit, without_old: '3', databases: [other]}", change=change))

    assert [gate.get("database") for gate in gates["before retire"]] == ["other"]


def test_what_is_said_of_services_is_part_of_what_is_approved_by_its_gates(scene: Scene) -> None:
    assert plan(scene, API).digest != plan(scene, API.replace("2.6.0", "2.7.0")).digest
