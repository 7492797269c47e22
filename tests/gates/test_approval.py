from __future__ import annotations

import uuid
from collections.abc import Callable, Generator

import psycopg
import pytest
from psycopg import sql
from tests.gates.asking import Desk

from crossfade.gates.approval import ApprovalGate
from crossfade.ledger import Ledger

Approve = Callable[..., None]


@pytest.fixture
def roles(desk: Desk) -> Generator[tuple[str, str, str]]:
    """Ada and Ben, members of a team, and Eve, who is not one; all may write approvals."""
    names = [f"{name}_{uuid.uuid4().hex[:8]}" for name in ("team", "ada", "ben", "eve")]
    quoted = [sql.Identifier(name) for name in names]
    team, ada, ben, _ = quoted
    for role in quoted:
        desk.connection.execute(sql.SQL("CREATE ROLE {}").format(role))
        for grant in ("USAGE ON SCHEMA crossfade", "ALL ON ALL TABLES IN SCHEMA crossfade"):
            desk.connection.execute(sql.SQL("GRANT " + grant + " TO {}").format(role))
    desk.connection.execute(sql.SQL("GRANT {} TO {}, {}").format(team, ada, ben))
    yield names[1], names[2], names[3]
    for role in quoted:
        desk.connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
    for role in quoted:
        desk.connection.execute(sql.SQL("DROP ROLE {}").format(role))


@pytest.fixture
def team(roles: tuple[str, str, str], desk: Desk) -> str:
    query = "SELECT roleid::regrole::text FROM pg_auth_members WHERE member = %s::regrole"
    row = desk.connection.execute(query, (roles[0],)).fetchone()
    assert row is not None
    return row[0]


@pytest.fixture
def approve(desk: Desk) -> Approve:
    """Approve as a role that has logged in; the ledger takes the role from the session, not from us."""

    def by(role: str, plan: str = "this plan") -> None:
        with psycopg.connect(desk.url, autocommit=True) as session:
            session.execute(sql.SQL("SET SESSION AUTHORIZATION {}").format(sql.Identifier(role)))
            approved_by = Ledger(session).approve("normalize_emails", team=None, plan_digest=plan, reason=None)
            assert approved_by == role

    return by


def gate(count: int = 1, team: str | None = None, **more: bool) -> ApprovalGate:
    body = {"count": count, **more} | ({"from": team} if team else {})
    return ApprovalGate.model_validate({"approval": body})


def test_an_approval_gate_waits_and_says_what_to_do(desk: Desk, team: str) -> None:
    answer = desk.ask(gate(2, team))

    assert answer.state == "waits"
    assert answer.reason == f"2 members of {team} have to approve: `crossfade approve normalize_emails`"


def test_an_approval_gate_holds_when_enough_members_have_approved(
    desk: Desk, team: str, roles: tuple[str, str, str], approve: Approve
) -> None:
    ada, ben, _ = roles
    approve(ada)
    approve(ben)

    answer = desk.ask(gate(2, team))

    assert (answer.state, answer.evidence["approved_by"]) == ("holds", sorted([ada, ben]))


def test_one_role_approves_only_once(desk: Desk, team: str, roles: tuple[str, str, str], approve: Approve) -> None:
    approve(roles[0])
    approve(roles[0])

    answer = desk.ask(gate(2, team))

    assert answer.state == "waits"
    assert answer.reason.startswith(f"1 more member of {team} has to approve")


def test_an_approval_of_an_older_plan_is_told_and_does_not_count(
    desk: Desk, team: str, roles: tuple[str, str, str], approve: Approve
) -> None:
    approve(roles[0], plan="the plan before")

    answer = desk.ask(gate(1, team))

    assert answer.state == "waits"
    assert answer.reason.endswith("; 1 approval is for an older plan")


def test_an_approval_of_an_earlier_start_of_the_same_plan_is_told_and_does_not_count(
    desk: Desk, team: str, roles: tuple[str, str, str], approve: Approve, start: Approve
) -> None:
    ada, ben, _ = roles
    start(ben)
    approve(ada)
    held = desk.ask(gate(1, team))
    Ledger(desk.connection).set_state("normalize_emails", "undone")
    start(ben)

    again = desk.ask(gate(1, team))
    approve(ada)

    assert (held.state, again.state) == ("holds", "waits")
    assert again.reason.endswith("; 1 approval is from before it was last started")
    assert desk.ask(gate(1, team)).reason == f"approved by {ada}"


def test_an_approval_from_outside_the_team_is_told_and_does_not_count(
    desk: Desk, team: str, roles: tuple[str, str, str], approve: Approve
) -> None:
    approve(roles[2])

    answer = desk.ask(gate(1, team))

    assert answer.state == "waits"
    assert answer.reason.endswith(f"; 1 approval is by a role that is not a member of {team}")


def test_who_joins_the_team_after_approving_counts_and_who_leaves_it_does_not(
    desk: Desk, team: str, roles: tuple[str, str, str], approve: Approve
) -> None:
    ada, _, eve = roles
    approve(ada)
    approve(eve)
    assert desk.ask(gate(2, team)).state == "waits"

    desk.connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(team), sql.Identifier(eve)))
    assert desk.ask(gate(2, team)).state == "holds"

    desk.connection.execute(sql.SQL("REVOKE {} FROM {}").format(sql.Identifier(team), sql.Identifier(ada)))
    assert desk.ask(gate(2, team)).evidence["approved_by"] == [eve]


def test_a_superuser_is_of_no_team_unless_it_was_granted(
    desk: Desk, team: str, roles: tuple[str, str, str], approve: Approve
) -> None:
    desk.connection.execute(sql.SQL("ALTER ROLE {} SUPERUSER").format(sql.Identifier(roles[2])))
    approve(roles[2])

    answer = desk.ask(gate(1, team))

    assert answer.state == "waits"
    assert answer.reason.endswith(f"; 1 approval is by a role that is not a member of {team}")


def test_without_a_team_whoever_logs_in_may_approve(desk: Desk, roles: tuple[str, str, str], approve: Approve) -> None:
    approve(roles[2])

    assert desk.ask(gate()).state == "holds"


def test_a_team_that_is_no_role_waits_and_says_how_to_make_it(desk: Desk) -> None:
    answer = desk.ask(gate(1, "Team-Nowhere"))

    assert answer.state == "waits"
    assert 'CREATE ROLE "Team-Nowhere" NOLOGIN; then GRANT "Team-Nowhere" TO' in answer.reason


@pytest.fixture
def start(desk: Desk) -> Callable[..., None]:
    """Start the migration as a role; a migration that had started is planned anew."""

    def by(role: str, owner: str | None = None, plan: str = "this plan") -> None:
        with psycopg.connect(desk.url, autocommit=True) as session:
            session.execute(sql.SQL("SET SESSION AUTHORIZATION {}").format(sql.Identifier(role)))
            Ledger(session).start(
                "normalize_emails",
                title="",
                owner=owner,
                spec_text="",
                spec_digest=plan,
                plan={},
                plan_digest=plan,
            )

    return by


def test_with_four_eyes_who_started_the_migration_does_not_count(
    desk: Desk, team: str, roles: tuple[str, str, str], approve: Approve, start: Approve
) -> None:
    ada, ben, _ = roles
    start(ada)
    approve(ada)

    alone = desk.ask(gate(1, team, four_eyes=True))
    without = desk.ask(gate(1, team))
    approve(ben)
    both = desk.ask(gate(1, team, four_eyes=True))

    assert alone.reason.endswith("; 1 approval is by who began it, and four eyes are wanted")
    assert (alone.state, alone.evidence["own"]) == ("waits", [ada])
    assert without.state == "holds"
    assert both.reason == f"approved by {ben}"


def test_with_four_eyes_the_owner_by_name_does_not_count(
    desk: Desk, roles: tuple[str, str, str], approve: Approve, start: Approve
) -> None:
    ada, ben, eve = roles
    start(eve, owner=ada)
    approve(ada)

    assert desk.ask(gate(four_eyes=True)).state == "waits"

    approve(ben)
    assert desk.ask(gate(four_eyes=True)).reason == f"approved by {ben}"


def test_with_four_eyes_it_is_whoever_gave_the_migration_the_plan_it_has(
    desk: Desk, roles: tuple[str, str, str], approve: Approve, start: Approve
) -> None:
    ada, ben, _ = roles
    start(ada, plan="the plan before")
    start(ben)
    approve(ada)

    assert desk.ask(gate(four_eyes=True)).state == "holds"

    approve(ben)
    assert desk.ask(gate(2, four_eyes=True)).evidence["own"] == [ben]


def test_labels_tell_approval_gates_apart() -> None:
    assert [gate().label, gate(2).label, gate(2, "ops").label] == [
        "approval",
        "approval by 2",
        "approval by 2 from ops",
    ]
