"""People who have no role in the database approve by a token that the engine reads."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from tests.gates.asking import Desk
from tests.issuer import Issuer, serving

from crossfade.gates.approval import ApprovalGate
from crossfade.ledger import Ledger, TokenSpent, verify
from crossfade.spec.fragment import trusted as trusted_sql


@pytest.fixture
def issuer(desk: Desk) -> Generator[Issuer]:
    """An issuer that the desk's project trusts."""
    with serving(Issuer()) as issuer:
        (desk.root / "crossfade.yaml").write_text(issuer.trusted())
        yield issuer


def present(desk: Desk, token: str, plan: str = "this plan", reason: str | None = None) -> None:
    Ledger(desk.connection).approve("normalize_emails", team=None, plan_digest=plan, reason=reason, token=token)


def gate(team: str | None = None, **more: Any) -> ApprovalGate:
    return ApprovalGate.model_validate({"approval": more | ({"from": team} if team else {})})


def test_an_approval_by_a_token_is_of_whom_the_token_names(desk: Desk, issuer: Issuer) -> None:
    present(desk, issuer.token("ada"), reason="read it")

    answer = desk.ask(gate())

    assert (answer.state, answer.reason) == ("holds", "approved by ada (ci)")
    (event,) = Ledger(desk.connection).events("normalize_emails")
    assert (event.kind, event.body["identity"], event.body["issuer"], event.body["reason"]) == (
        "approved",
        "ada",
        "ci",
        "read it",
    )


def test_a_token_does_not_stay_in_the_ledger_nor_in_what_is_said_of_it(desk: Desk, issuer: Issuer) -> None:
    good, bad = issuer.token("ada"), issuer.token("eve", aud="another-service")
    present(desk, good)
    present(desk, bad)
    assert good not in repr(Ledger(desk.connection).presented_tokens("normalize_emails"))

    answer = desk.ask(gate(count=2))

    kept = f"{answer}{desk.sql('SELECT a::text FROM crossfade.approval AS a')}{desk.sql('TABLE crossfade.event')}"
    for token in (good, bad):
        assert not [part for part in token.split(".")[1:] if part in kept]


def test_of_several_tokens_of_one_person_one_counts(desk: Desk, issuer: Issuer) -> None:
    present(desk, issuer.token("ada"))
    present(desk, issuer.token("ada"))

    assert desk.ask(gate(count=2)).reason.startswith("1 more person has to approve")

    present(desk, issuer.token("ben"))
    assert desk.ask(gate(count=2)).reason == "approved by ada (ci), ben (ci)"


def test_a_group_is_who_has_it_in_the_token_and_no_role_of_that_name(desk: Desk, issuer: Issuer) -> None:
    present(desk, issuer.token("ada", environment="staging"))
    Ledger(desk.connection).approve("normalize_emails", team=None, plan_digest="this plan", reason=None)

    outside = desk.ask(gate("ci:production"))
    present(desk, issuer.token("ben", environment=["staging", "production"]))
    inside = desk.ask(gate("ci:production"))

    assert outside.reason.endswith("; 2 approvals are not of ci:production")
    assert inside.reason == "approved by ben (ci)"


def test_who_approves_by_a_token_is_of_no_role_whatever_the_token_says(desk: Desk, issuer: Issuer) -> None:
    team = desk.sql("SELECT session_user::text")[0][0]
    present(desk, issuer.token(team, environment=team))

    answer = desk.ask(gate(team))

    assert answer.reason.endswith(f"; 1 approval is by a role that is not a member of {team}")


def test_a_token_that_is_not_trusted_is_told_with_why_and_is_in_the_audit(desk: Desk, issuer: Issuer) -> None:
    present(desk, issuer.token("eve", repository="eve/shop"))

    answer = desk.ask(gate())

    assert answer.reason.endswith("; a token does not count: its claim `repository` is not what crossfade.yaml wants")
    (event,) = Ledger(desk.connection).events("normalize_emails")
    assert (event.kind, event.body["refused"]) == (
        "approval refused",
        "its claim `repository` is not what crossfade.yaml wants",
    )


def test_a_token_that_somebody_else_has_signed_does_not_count(desk: Desk, issuer: Issuer) -> None:
    present(desk, Issuer().token("ada"))

    assert desk.ask(gate()).reason.endswith("; a token does not count: its issuer has not signed it")


def test_a_token_must_have_been_valid_when_it_was_presented_by_the_servers_clock(desk: Desk, issuer: Issuer) -> None:
    issued = 1_700_000_000
    present(desk, issuer.token("ada", iat=issued, exp=issued + 600))
    desk.connection.execute(
        "INSERT INTO crossfade.approval (migration, plan_digest, token, approved_at)"
        " VALUES ('normalize_emails', 'this plan', %s, to_timestamp(%s))",
        (issuer.token("ada", iat=issued, exp=issued + 600), issued + 1),
    )

    assert desk.ask(gate()).reason.endswith("; a token does not count: it is expired, or not valid yet")


def test_a_token_approves_once_so_who_reads_it_there_cannot_use_it_for_another_plan(desk: Desk, issuer: Issuer) -> None:
    token = issuer.token("ada")
    present(desk, token)

    with pytest.raises(TokenSpent) as spent:
        present(desk, token, plan="another plan")
    desk.ask(gate())
    with pytest.raises(TokenSpent):
        present(desk, token)

    assert token not in str(spent.value)


def test_while_the_issuers_keys_cannot_be_had_the_gate_waits_and_the_token_is_read_later(
    desk: Desk, issuer: Issuer
) -> None:
    there = (desk.root / "crossfade.yaml").read_text()
    (desk.root / "crossfade.yaml").write_text(there.replace(issuer.jwks, "file:not_there.json"))
    present(desk, issuer.token("ada"))

    unread = desk.ask(gate())
    (desk.root / "crossfade.yaml").write_text(there)

    assert unread.state == "waits"
    assert "by a token that could not be read yet" in unread.reason
    assert desk.ask(gate()).state == "holds"


def test_an_approval_by_a_token_is_for_one_plan(desk: Desk, issuer: Issuer) -> None:
    present(desk, issuer.token("ada"), plan="the plan before")

    assert desk.ask(gate()).reason.endswith("; 1 approval is for an older plan")


def test_with_four_eyes_the_owner_by_the_name_in_the_token_does_not_count(desk: Desk, issuer: Issuer) -> None:
    Ledger(desk.connection).start(
        "normalize_emails", title="", owner="ada", spec_text="", spec_digest="", plan={}, plan_digest="this plan"
    )
    present(desk, issuer.token("ada"))

    answer = desk.ask(gate(four_eyes=True))

    assert answer.reason.endswith("; 1 approval is by who began it, and four eyes are wanted")


def test_a_group_of_an_issuer_that_is_not_named_waits_and_says_so(desk: Desk) -> None:
    answer = desk.ask(gate("github:production"))

    assert answer.state == "waits"
    assert "the issuer `github`, which crossfade.yaml does not name" in answer.reason


@pytest.mark.parametrize(
    "edit",
    ["identity = 'eve'", "issuer = 'other'", "groups = '{admins}'", "point = 'before drop', gate = 'soak 7d'"],
)
def test_who_approved_by_a_token_cannot_be_edited_unnoticed(desk: Desk, issuer: Issuer, edit: str) -> None:
    present(desk, issuer.token("ada"))
    desk.ask(gate())
    assert verify(desk.connection)[1] is None

    desk.sql(f"ALTER TABLE crossfade.approval DISABLE TRIGGER ALL; UPDATE crossfade.approval SET {edit}")

    _, tampered = verify(desk.connection)
    assert tampered is not None
    assert tampered.what == "tells of an approval that was edited"


def test_an_identity_cannot_be_written_past_the_token(desk: Desk) -> None:
    desk.connection.execute(
        trusted_sql(
            "INSERT INTO crossfade.approval (migration, plan_digest, issuer, identity, groups)"
            " VALUES ('normalize_emails', 'this plan', 'ci', 'ada', '{production}')"
        )
    )

    (approval,) = Ledger(desk.connection).approvals("normalize_emails")
    assert (approval.issuer, approval.identity, approval.groups) == (None, None, [])
