"""Approvals are counted by person, as crossfade.yaml says who is who; nobody gains by what it does not say."""

from __future__ import annotations

from collections.abc import Callable, Generator

import pytest
from tests.gates.asking import Desk
from tests.issuer import Issuer, serving

from crossfade.gates import Answer
from crossfade.gates.approval import ApprovalGate
from crossfade.ledger import Ledger

Settle = Callable[..., None]


@pytest.fixture
def issuer(desk: Desk) -> Generator[Issuer]:
    with serving(Issuer()) as issuer:
        (desk.root / "crossfade.yaml").write_text(issuer.trusted())
        yield issuer


@pytest.fixture
def me(desk: Desk) -> str:
    """The role that everything here is done as."""
    return str(desk.sql("SELECT session_user::text")[0][0])


@pytest.fixture
def say(desk: Desk, issuer: Issuer) -> Settle:
    """Add lines to crossfade.yaml."""

    def lines(*more: str) -> None:
        (desk.root / "crossfade.yaml").write_text(issuer.trusted(*more))

    return lines


def start(desk: Desk, *, let_by: tuple[str, str] | None = None, owner: str | None = None) -> None:
    Ledger(desk.connection).start(
        "normalize_emails",
        title="",
        owner=owner,
        spec_text="",
        spec_digest="",
        plan={},
        plan_digest="this plan",
        let_by=let_by,
    )


def approve(desk: Desk, token: str | None = None) -> None:
    Ledger(desk.connection).approve("normalize_emails", team=None, plan_digest="this plan", reason=None, token=token)


def ask(desk: Desk, count: int = 1, *, four_eyes: bool = False) -> Answer:
    return desk.ask(ApprovalGate.model_validate({"approval": {"count": count, "four_eyes": four_eyes}}))


def test_who_has_a_role_and_a_token_is_one_person(desk: Desk, issuer: Issuer, me: str, say: Settle) -> None:
    say(f"people: {{Ada: [{me}, 'ci:ada-l'], Ben: 'ci:ben'}}")
    approve(desk)
    approve(desk, issuer.token("ada-l"))

    alone = ask(desk, 2)
    approve(desk, issuer.token("ben"))
    both = ask(desk, 2)

    assert alone.reason.startswith("1 more person has to approve")
    assert both.reason == "approved by Ada, Ben"


def test_where_people_are_named_nobody_else_counts(desk: Desk, issuer: Issuer, say: Settle) -> None:
    say("people: {Ada: 'ci:ada-l'}")
    approve(desk, issuer.token("somebody"))

    answer = ask(desk)

    assert answer.state == "waits"
    assert answer.reason.endswith("; 1 approval is by whom crossfade.yaml does not name under `people`")


def test_where_they_are_not_a_role_and_a_token_are_not_added_up(desk: Desk, issuer: Issuer) -> None:
    approve(desk)
    approve(desk, issuer.token("ada"))

    two = ask(desk, 2)
    approve(desk, issuer.token("ben"))

    assert two.reason.startswith("1 more person has to approve")
    assert two.reason.endswith(
        "; 1 approval is perhaps by one of them again: `people` in crossfade.yaml can tell them apart"
    )
    assert ask(desk, 2).reason == "approved by ada (ci), ben (ci)"


def test_a_machine_never_approves(desk: Desk, issuer: Issuer, me: str, say: Settle) -> None:
    say(f"machines: [{me}, 'ci:renovate[bot]']")
    approve(desk)
    approve(desk, issuer.token("renovate[bot]"))

    answer = ask(desk)

    assert answer.state == "waits"
    assert answer.reason.endswith("; 2 approvals are by a machine, as crossfade.yaml says")
    assert answer.evidence["machines"] == sorted([me, "renovate[bot] (ci)"])


def test_a_token_that_a_machine_presents_is_its_bearers(desk: Desk, issuer: Issuer, me: str, say: Settle) -> None:
    say(f"machines: [{me}]")
    approve(desk, issuer.token("ada"))

    assert ask(desk).reason == "approved by ada (ci)"


def test_four_eyes_know_the_person_behind_a_role_by_any_of_their_names(
    desk: Desk, issuer: Issuer, me: str, say: Settle
) -> None:
    say(f"people: {{Ada: [{me}, 'ci:ada-l'], Ben: 'ci:ben'}}")
    start(desk)
    approve(desk, issuer.token("ada-l"))

    own = ask(desk, four_eyes=True)
    approve(desk, issuer.token("ben"))

    assert own.reason.endswith("; 1 approval is by who began it, and four eyes are wanted")
    assert ask(desk, four_eyes=True).reason == "approved by Ben"


def test_four_eyes_know_the_owner_as_a_person(desk: Desk, issuer: Issuer, me: str, say: Settle) -> None:
    say(f"people: {{Ada: [{me}], Ben: ['ci:ben-x', ben]}}")
    start(desk, owner="Ben")
    approve(desk, issuer.token("ben-x"))

    assert ask(desk, four_eyes=True).evidence["own"] == ["Ben"]


@pytest.mark.parametrize("named", [True, False], ids=["as a machine", "not at all"])
def test_where_nobody_knows_who_began_it_one_more_must_approve(
    desk: Desk, issuer: Issuer, me: str, say: Settle, named: bool
) -> None:
    say(*([f"machines: [{me}]"] if named else []), "people: {Ada: 'ci:ada', Ben: 'ci:ben'}")
    start(desk)
    approve(desk, issuer.token("ada"))

    one = ask(desk, four_eyes=True)
    without = ask(desk)
    approve(desk, issuer.token("ben"))

    assert one.reason.startswith("1 more person has to approve")
    assert one.reason.endswith("; one more than wanted, for who began it may be one of them")
    assert without.state == "holds"
    assert ask(desk, four_eyes=True).reason == "approved by Ada, Ben"


def test_who_started_it_as_a_role_may_be_whom_a_token_names(desk: Desk, issuer: Issuer) -> None:
    start(desk)
    approve(desk, issuer.token("ada"))

    assert ask(desk, four_eyes=True).reason.startswith("1 more person has to approve")


def test_a_token_at_the_start_says_who_is_behind_a_machine(desk: Desk, issuer: Issuer, me: str, say: Settle) -> None:
    say(f"machines: [{me}]")
    start(desk, let_by=("ci", "ada"))
    approve(desk, issuer.token("ada"))

    own = ask(desk, four_eyes=True)
    approve(desk, issuer.token("ben"))

    assert own.evidence["own"] == ["ada (ci)"]
    assert ask(desk, four_eyes=True).reason == "approved by ben (ci)"
