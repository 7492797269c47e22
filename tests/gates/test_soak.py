from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError
from tests.gates.asking import NOW, context_at

from crossfade.changes import CHANGES
from crossfade.gates import GATES
from crossfade.gates.soak import SoakGate
from crossfade.spec import SpecError, check_migration, parse_document

SOAK = SoakGate.model_validate({"soak": "7d"})


def test_a_soak_holds_when_its_time_has_passed() -> None:
    answer = SOAK.ask(context_at(since=NOW - timedelta(days=7)))

    assert (answer.state, answer.reason) == ("holds", "7d have passed")


def test_a_soak_waits_and_says_until_when() -> None:
    answer = SOAK.ask(context_at(since=NOW - timedelta(hours=1)))

    assert (answer.state, answer.holds_at) == ("waits", NOW + timedelta(days=7, hours=-1))
    assert answer.reason == "6d 23h of 7d are left"


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (timedelta(milliseconds=1), "1s"),
        (timedelta(seconds=59, milliseconds=1), "1m"),
        (timedelta(seconds=61), "2m"),
        (timedelta(hours=1, seconds=1), "1h 1m"),
    ],
)
def test_what_is_left_of_a_soak_is_rounded_up(left: timedelta, words: str) -> None:
    answer = SOAK.ask(context_at(since=NOW - timedelta(days=7) + left))

    assert answer.reason == f"{words} of 7d are left"


def test_a_soak_of_seconds_never_has_more_left_than_it_lasts() -> None:
    answer = SoakGate.model_validate({"soak": "3s"}).ask(context_at(since=NOW))

    assert answer.reason == "3s of 3s are left"


def test_a_soak_waits_while_the_phase_before_goes_on() -> None:
    answer = SOAK.ask(context_at(since=None))

    assert (answer.state, answer.reason) == ("waits", "the phase before has not ended")


def test_a_soak_past_the_calendar_is_refused_when_it_is_read() -> None:
    with pytest.raises(ValidationError, match="ten years at most"):
        SoakGate.model_validate({"soak": "99999999d"})


@pytest.mark.parametrize("gates", ["[soak: 1d]", "{after: [soak: 1d]}"])
def test_a_soak_at_expand_could_never_hold_and_is_refused_where_it_stands(tmp_path: Path, gates: str) -> None:
    head = "crossfade: 1\nmigration: m\ntitle: m\ndatabase: d\nchanges: [{sql: {up: SELECT 1}}]\n"
    document = parse_document(f"{head}gates: {{expand: {gates}}}\n", tmp_path / "m.yaml")

    with pytest.raises(SpecError, match="a soak there would never hold") as refusal:
        check_migration(document, changes=CHANGES, gates=GATES)

    where = refusal.value.problems[0].where
    assert where is not None
    assert (where.line, where.column) == (6, document.text.splitlines()[5].index("1d") + 1)


def test_the_label_of_a_soak_tells_its_length() -> None:
    assert SOAK.label == "soak 7d"
