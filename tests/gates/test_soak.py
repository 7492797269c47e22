from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError
from tests.gates.asking import NOW, context_at

from crossfade.gates.soak import SoakGate

SOAK = SoakGate.model_validate({"soak": "7d"})


def test_a_soak_holds_when_its_time_has_passed() -> None:
    answer = SOAK.ask(context_at(since=NOW - timedelta(days=7)))

    assert (answer.state, answer.reason) == ("holds", "7d have passed")


def test_a_soak_waits_and_says_until_when() -> None:
    answer = SOAK.ask(context_at(since=NOW - timedelta(hours=1)))

    assert (answer.state, answer.holds_at) == ("waits", NOW + timedelta(days=7, hours=-1))
    assert answer.reason == "6d 23h of 7d are left"


def test_a_soak_has_a_minute_left_until_the_last_second_is_over() -> None:
    answer = SOAK.ask(context_at(since=NOW - timedelta(days=7, seconds=-1)))

    assert answer.reason == "1m of 7d are left"


def test_a_soak_waits_while_the_phase_before_goes_on() -> None:
    answer = SOAK.ask(context_at(since=None))

    assert (answer.state, answer.reason) == ("waits", "the phase before has not ended")


def test_a_soak_past_the_calendar_is_refused_when_it_is_read() -> None:
    with pytest.raises(ValidationError, match="ten years at most"):
        SoakGate.model_validate({"soak": "99999999d"})


def test_the_label_of_a_soak_tells_its_length() -> None:
    assert SOAK.label == "soak 7d"
