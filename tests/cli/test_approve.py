"""crossfade approve: as the role that logged in, for one plan."""

from __future__ import annotations

from collections.abc import Generator
from uuid import uuid4

import pytest
from psycopg.conninfo import make_conninfo
from tests.cli.calls import Call
from tests.cli.specs import LOWER, users
from tests.scene import Scene


@pytest.fixture
def team(scene: Scene) -> Generator[tuple[str, str]]:
    """A team's role, and a member of it that may read the ledger and no more."""
    team, member = f"team_{uuid4().hex[:12]}", f"member_{uuid4().hex[:12]}"
    scene.sql(f"CREATE ROLE {team}; CREATE ROLE {member} LOGIN PASSWORD 'x' IN ROLE {team}")
    yield team, member
    scene.sql(f"DROP OWNED BY {team}, {member}; DROP ROLE {team}, {member}")


def test_an_approval_is_by_the_role_that_logged_in_and_lets_the_migration_go_on(
    scene: Scene, call: Call, monkeypatch: pytest.MonkeyPatch, team: tuple[str, str]
) -> None:
    users(scene, LOWER + f"gates: {{contract: [{{approval: {{from: {team[0]}}}}}]}}\n")
    assert call("up", "--yes").exit_code == 0
    scene.sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA crossfade TO {team[0]}")

    with monkeypatch.context() as patch:
        patch.setenv("APP_URL", make_conninfo(scene.urls["app"], user=team[1], password="x"))
        approved = call("approve", "m", "--team", team[0], "--reason", "reviewed in #412")

    (record,) = scene.ledger().approvals("m")
    assert approved.stdout == f"{team[1]} approved plan {record.plan_digest} of m for {team[0]}\n"
    assert (record.role, record.team, record.reason) == (team[1], team[0], "reviewed in #412")
    assert "m is complete" in call("up", "--yes").stdout


def test_a_migration_that_has_not_started_has_no_plan_to_approve(scene: Scene, call: Call) -> None:
    users(scene)

    result = call("approve", "m")

    assert result.exit_code == 1
    assert "m has not started" in result.stderr


def test_an_approval_for_a_team_one_does_not_belong_to_is_refused(
    scene: Scene, call: Call, monkeypatch: pytest.MonkeyPatch, team: tuple[str, str]
) -> None:
    users(scene, LOWER + "gates: {contract: [{approval: {}}]}\n")
    assert call("up", "--yes").exit_code == 0
    scene.sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA crossfade TO {team[1]}; REVOKE {team[0]} FROM {team[1]}")
    monkeypatch.setenv("APP_URL", make_conninfo(scene.urls["app"], user=team[1], password="x"))

    outsider, nobody = call("approve", "m", "--team", team[0]), call("approve", "m", "--team", "no_such_team")

    assert (outsider.exit_code, nobody.exit_code) == (1, 2)
    assert f"{team[1]} is not a member of {team[0]}" in outsider.stderr
    assert "there is no role no_such_team" in nobody.stderr
    assert scene.ledger().approvals("m") == ()


def test_an_approval_that_no_gate_asks_for_any_more_is_refused(scene: Scene, call: Call) -> None:
    users(scene, LOWER + "gates: {backfill: {before: [{approval: {}}]}, contract: [{soak: 7d}]}\n")
    call("up", "--yes")
    assert call("approve", "m").exit_code == 0
    call("up", "--yes")

    result = call("approve", "m")

    assert result.exit_code == 1
    assert "m has passed all gates that ask for an approval" in result.stderr
    assert len(scene.ledger().approvals("m")) == 1


def test_a_migration_that_is_over_is_not_approved(scene: Scene, call: Call) -> None:
    me = scene.one("SELECT session_user::text")
    users(scene, LOWER + f"gates: {{validate: {{before: [{{soak: 1ms}}]}}}}\noverride: {{from: {me}}}\n")
    call("up", "m", "--phase", "validate", "--yes")
    past = call("approve", "m", "--override", "soak 1ms", "--reason", "late")
    call("up", "--yes")
    complete = call("approve", "m")
    call("rollback", "m", "--yes")
    undone = call("approve", "m")

    assert [past.exit_code, complete.exit_code, undone.exit_code] == [1, 1, 1]
    assert "m has passed `soak 1ms` before validate" in past.stderr
    assert "m is complete" in complete.stderr
    assert "m has not started" in undone.stderr
    assert scene.ledger().approvals("m") == ()
