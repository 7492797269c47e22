"""The hours in which contract may act."""

from __future__ import annotations

from datetime import time

import pytest
from pydantic import ValidationError

from crossfade.spec import Window


@pytest.mark.parametrize(
    ("days", "weekdays"),
    [
        ("mon-thu", {0, 1, 2, 3}),
        ("sat,sun", {5, 6}),
        ("mon-tue, fri", {0, 1, 4}),
        ("fri-mon", {4, 5, 6, 0}),
        ("wed", {2}),
        ("mon-sun", {0, 1, 2, 3, 4, 5, 6}),
    ],
)
def test_days_are_ranges_and_lists_of_weekdays(days: str, weekdays: set[int]) -> None:
    assert Window(days=days).weekdays() == weekdays


def test_hours_are_a_span_of_the_day() -> None:
    assert Window(hours="09:00-16:30").span() == (time(9), time(16, 30))


def test_the_day_ends_at_24_hours() -> None:
    assert Window(hours="00:00-24:00").span() == (time(0), time.max)


def test_a_window_may_run_past_midnight() -> None:
    assert Window(hours="22:00-04:00").span() == (time(22), time(4))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"days": "mon-thr"}, "`thr` is no day of the week"),
        ({"days": "mon-tue-wed"}, "days are written like mon-thu"),
        ({"hours": "9-17"}, "hours are written HH:MM-HH:MM"),
        ({"hours": "24:00-08:00"}, "hours are written HH:MM-HH:MM"),
        ({"hours": "08:00-08:00"}, "the window closes when it opens"),
        ({"timezone": "Europe/Olso"}, "`Europe/Olso` is no IANA time zone; did you mean `Europe/Oslo`"),
        ({"timezone": "Europe"}, "`Europe` is no IANA time zone"),
        ({"timezone": "../etc/passwd"}, "is no IANA time zone"),
        ({"timezone": ""}, "is no IANA time zone"),
    ],
)
def test_a_window_that_cannot_be_is_refused_with_the_reason(fields: dict[str, str], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Window.model_validate(fields)
