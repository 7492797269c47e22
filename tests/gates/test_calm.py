from __future__ import annotations

from typing import Any

import pytest
from tests.gates.asking import Desk

from crossfade.gates.calm import CalmGate


def ended(desk: Desk, **found: Any) -> None:
    """A brownout that has found this."""
    ledger = desk.context.ledger
    desk.sql(
        "INSERT INTO crossfade.migration (id, title, spec_text, spec_digest, plan, plan_digest)"
        " VALUES ('normalize_emails', 't', '', '', '{}', '')"
    )
    ledger.step_running("normalize_emails", "users/brownout", "brownout")
    ledger.step_done("normalize_emails", "users/brownout", detail=found)


def test_it_holds_when_nothing_failed(desk: Desk) -> None:
    ended(desk, failed=0, rolled_back=3, usual=3)

    assert desk.ask(CalmGate(calm=0)).state == "holds"


@pytest.mark.parametrize(("allowed", "state"), [(1, "waits"), (2, "holds")])
def test_it_waits_when_more_failed_than_may(desk: Desk, allowed: int, state: str) -> None:
    ended(desk, failed=2, rolled_back=2, usual=0)

    assert desk.ask(CalmGate(calm=allowed)).state == state


def test_without_the_servers_log_it_waits_and_tells_what_was_rolled_back(desk: Desk) -> None:
    ended(desk, failed=None, rolled_back=7, usual=1)

    answer = desk.ask(CalmGate(calm=0))

    assert answer.state == "waits"
    assert "7 transactions were rolled back" in answer.reason
    assert "let the role read the log" in answer.reason


def test_without_the_servers_log_it_holds_where_the_spec_accepts_that(desk: Desk) -> None:
    ended(desk, failed=None, rolled_back=7, usual=1)

    answer = desk.ask(CalmGate(calm=0, without_log=True))

    assert answer.state == "holds"
    assert "7 transactions were rolled back" in answer.reason


def test_it_waits_until_there_was_a_brownout(desk: Desk) -> None:
    assert desk.ask(CalmGate(calm=0)).reason == "there was no brownout yet"
