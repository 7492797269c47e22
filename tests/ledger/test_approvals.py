"""Approvals are given as the role that authenticated, and by no other name."""

from __future__ import annotations

import pytest
from psycopg import errors, sql
from tests.ledger.conftest import Connection, NewRole, Open

from crossfade.ledger import Ledger, verify
from crossfade.spec.fragment import trusted


def test_an_approval_says_who_for_which_plan_and_with_which_roles(
    ledger: Ledger, open_session: Open, new_role: NewRole
) -> None:
    team = new_role()
    ada = new_role(team)

    assert Ledger(open_session(ada)).approve("m", team=team, plan_digest="p", reason="looks good") == ada

    (approval,) = ledger.approvals("m")
    assert (approval.role, approval.team, approval.plan_digest, approval.reason) == (ada, team, "p", "looks good")
    assert set(approval.roles) == {ada, team}


def test_it_is_an_event_once_it_was_taken_in(ledger: Ledger, open_session: Open, new_role: NewRole) -> None:
    ada = new_role()
    Ledger(open_session(ada)).approve("m", team=None, plan_digest="p", reason=None)

    ledger.take_in_approvals("m")
    ledger.take_in_approvals("m")

    (event,) = ledger.events("m")
    assert (event.kind, event.body["role"], event.body["plan"]) == ("approved", ada, "p")
    assert verify(ledger.connection) == (1, None)


def test_an_approval_in_an_open_transaction_keeps_nobody_from_writing_events(
    ledger: Ledger, open_session: Open, new_role: NewRole
) -> None:
    approver = open_session(new_role())
    ledger.connection.execute("SET lock_timeout = '500ms'")
    with approver.transaction():
        Ledger(approver).approve("m", team=None, plan_digest="p", reason=None)

        ledger.event("m", "something else", {})
        ledger.take_in_approvals("m")

    ledger.take_in_approvals("m")
    assert [event.kind for event in ledger.events("m")] == ["something else", "approved"]


@pytest.mark.parametrize(
    "edit", ["UPDATE crossfade.approval SET plan_digest = 'q'", "UPDATE crossfade.approval SET event = 1"]
)
def test_an_approval_edited_after_its_event_is_found(
    ledger: Ledger, open_session: Open, new_role: NewRole, edit: str
) -> None:
    ledger.event("m", "something else", {})
    Ledger(open_session(new_role())).approve("m", team=None, plan_digest="p", reason=None)
    ledger.take_in_approvals("m")
    ledger.connection.execute("ALTER TABLE crossfade.approval DISABLE TRIGGER ALL")

    ledger.connection.execute(trusted(edit))

    _, tampered = verify(ledger.connection)
    assert tampered is not None
    assert tampered.what == "tells of an approval that was edited"


def test_an_approver_needs_no_right_on_the_ledgers_tables(
    ledger: Ledger, open_session: Open, new_role: NewRole
) -> None:
    ada = new_role()
    session = open_session(ada)

    Ledger(session).approve("m", team=None, plan_digest="p", reason=None)

    for table in ("approval", "event", "migration"):
        with pytest.raises(errors.InsufficientPrivilege):
            session.execute(sql.SQL("SELECT FROM crossfade.{}").format(sql.Identifier(table)))


def test_a_role_taken_on_later_does_not_count(ledger: Ledger, open_session: Open, new_role: NewRole) -> None:
    team = new_role()
    ada = new_role(team)
    session = open_session(ada)
    session.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(team)))

    assert Ledger(session).approve("m", team=team, plan_digest="p", reason=None) == ada


@pytest.fixture
def writer(ledger: Ledger, open_session: Open, new_role: NewRole) -> Connection:
    """A role that may write the ledger's tables, as whoever runs migrations."""
    role = new_role()
    ledger.connection.execute(sql.SQL("GRANT ALL ON ALL TABLES IN SCHEMA crossfade TO {}").format(sql.Identifier(role)))
    return open_session(role)


def test_another_name_cannot_be_written(writer: Connection, new_role: NewRole) -> None:
    with pytest.raises(errors.InsufficientPrivilege, match="an approval is given as the role that authenticated"):
        writer.execute(
            "INSERT INTO crossfade.approval (migration, role, plan_digest) VALUES ('m', %s, 'p')", (new_role(),)
        )


def test_roles_that_one_is_no_member_of_cannot_be_written(
    writer: Connection, ledger: Ledger, new_role: NewRole
) -> None:
    team = new_role()

    writer.execute("INSERT INTO crossfade.approval (migration, roles, plan_digest) VALUES ('m', %s, 'p')", ([team],))

    (approval,) = ledger.approvals("m")
    assert team not in approval.roles


def test_somebody_elses_approval_cannot_be_turned_to_another_plan(
    writer: Connection, ledger: Ledger, open_session: Open, new_role: NewRole
) -> None:
    Ledger(open_session(new_role())).approve("m", team=None, plan_digest="p", reason=None)

    with pytest.raises(errors.InsufficientPrivilege):
        writer.execute("UPDATE crossfade.approval SET plan_digest = 'q'")

    assert [approval.plan_digest for approval in ledger.approvals("m")] == ["p"]
