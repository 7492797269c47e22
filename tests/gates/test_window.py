from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import assume, given
from hypothesis import strategies as st
from tests.gates.asking import context_at

from crossfade.gates import Answer
from crossfade.gates.window import WindowGate
from crossfade.spec import Settings

OSLO = ZoneInfo("Europe/Oslo")
PLAIN = Settings()


def ask(at: datetime, freeze: Sequence[str] = (), settings: Settings = PLAIN, /, **window: str) -> Answer:
    gate = WindowGate.model_validate({"window": {"timezone": "Europe/Oslo", "freeze": freeze, **window}})
    return gate.ask(context_at(at, settings=settings))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_window_holds_from_its_first_minute_to_before_its_last() -> None:
    hours = {"days": "mon-thu", "hours": "09:00-16:00"}

    states = [
        ask(utc(at), **hours).state
        for at in ("2026-01-05 07:59:59", "2026-01-05 08:00", "2026-01-05 14:59:59", "2026-01-05 15:00")
    ]

    assert states == ["waits", "holds", "holds", "waits"]


def test_a_closed_window_says_when_it_opens_next() -> None:
    answer = ask(utc("2026-01-08 20:00"), days="mon-thu", hours="09:00-16:00")  # Thursday evening

    assert (answer.state, answer.holds_at) == ("waits", utc("2026-01-12 08:00"))
    assert answer.reason == "opens Mon 2026-01-12 09:00 Europe/Oslo"


def test_a_window_keeps_local_time_over_the_change_to_summer_time() -> None:
    answer = ask(utc("2026-03-27 20:00"), days="mon-fri", hours="09:00-16:00")  # clocks change on the 29th

    assert answer.holds_at == utc("2026-03-30 07:00")


def test_a_window_keeps_local_time_over_the_change_to_winter_time() -> None:
    answer = ask(utc("2026-10-23 20:00"), days="mon-fri", hours="09:00-16:00")  # clocks change on the 25th

    assert answer.holds_at == utc("2026-10-26 08:00")


def test_a_window_in_the_skipped_hour_opens_an_hour_later_by_the_clock() -> None:
    answer = ask(utc("2026-03-28 20:00"), hours="02:15-02:45")

    assert answer.holds_at == utc("2026-03-29 01:15")
    assert ask(utc("2026-03-29 01:30"), hours="02:15-02:45").state == "holds"


def test_a_window_whose_whole_hour_is_skipped_opens_the_next_time() -> None:
    answer = ask(utc("2026-03-28 20:00"), days="sun", hours="02:00-03:00")

    assert answer.holds_at == utc("2026-04-05 00:00")


def test_a_window_in_the_hour_that_comes_twice_opens_in_the_first() -> None:
    first, second = utc("2026-10-25 00:30"), utc("2026-10-25 01:30")

    states = [ask(at, hours="02:15-02:45").state for at in (first, second)]

    assert states == ["holds", "waits"]


def test_a_window_over_midnight_belongs_to_the_day_it_opens_on() -> None:
    friday_night = {"days": "fri", "hours": "22:00-04:00"}

    states = [
        ask(datetime(2026, 1, day, hour, tzinfo=OSLO), **friday_night).state
        for day, hour in ((9, 3), (9, 23), (10, 3), (10, 23))
    ]

    assert states == ["waits", "holds", "holds", "waits"]


def test_a_window_until_midnight_closes_at_midnight() -> None:
    states = [
        ask(datetime(2026, 1, day, hour, 59, tzinfo=OSLO), days="mon", hours="20:00-24:00").state
        for day, hour in ((5, 23), (6, 0))
    ]

    assert states == ["holds", "waits"]


def test_a_window_stays_closed_on_the_days_of_a_freeze() -> None:
    office = {"days": "mon-fri", "hours": "09:00-16:00"}
    christmas = ["2026-12-21..2027-01-03", "2026-12-18"]

    answer = ask(utc("2026-12-18 10:00"), christmas, **office)  # a Friday

    assert (answer.state, answer.holds_at) == ("waits", utc("2027-01-04 08:00"))
    assert answer.reason == "frozen; opens Mon 2027-01-04 09:00 Europe/Oslo"
    assert ask(utc("2026-12-17 10:00"), christmas, **office).state == "holds"


def test_a_freeze_cuts_a_window_that_runs_past_midnight() -> None:
    night = {"days": "wed", "hours": "22:00-04:00"}

    before = ask(utc("2026-12-23 22:00"), ["2026-12-24"], **night)
    after = ask(utc("2026-12-24 22:00"), ["2026-12-23"], days="wed,thu", hours="22:00-04:00")

    assert before.reason == "open until Thu 2026-12-24 00:00 Europe/Oslo"
    assert after.state == "holds"


def test_a_window_opens_in_the_rest_of_a_night_that_a_freeze_ends_in() -> None:
    answer = ask(utc("2026-12-23 23:30"), ["2026-12-23"], days="wed", hours="22:00-04:00")

    assert (answer.state, answer.reason) == ("holds", "open until Thu 2026-12-24 04:00 Europe/Oslo")


def test_a_frozen_day_is_as_long_as_the_clocks_make_it() -> None:
    answer = ask(utc("2026-03-28 23:00"), ["2026-03-29"], hours="00:00-24:00")  # a day of 23 hours

    assert answer.holds_at == utc("2026-03-29 22:00")


def test_a_window_says_when_it_opens_after_the_freeze_of_the_whole_project() -> None:
    frozen = Settings.model_validate({"freezes": [{"dates": "2026-12-21..2027-01-03", "timezone": "Europe/Oslo"}]})

    answer = ask(utc("2026-12-19 10:00"), (), frozen, days="mon-fri", hours="09:00-16:00")

    assert answer.holds_at == utc("2027-01-04 08:00")


def test_windows_that_are_closed_on_other_days_have_labels_of_their_own() -> None:
    bodies = [{}, {"freeze": "2026-12-24"}, {"freeze": ["2026-12-25"]}]

    plain, *others = [WindowGate.model_validate({"window": body}).label for body in bodies]

    assert plain == "window mon-sun 00:00-24:00 UTC"
    assert others == [f"{plain} except 2026-12-24", f"{plain} except 2026-12-25"]


@given(
    at=st.integers(0, 2 * 365 * 24 * 60).map(lambda minute: utc("2025-01-01") + timedelta(minutes=minute)),
    opens=st.integers(0, 23),
    hours=st.integers(1, 23),
    day=st.sampled_from(["mon", "wed,sat", "fri-mon"]),
    zone=st.sampled_from(["Europe/Oslo", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    frozen=st.lists(st.tuples(st.integers(-3, 20), st.integers(0, 9)), max_size=3),
    project=st.sampled_from(["Europe/Oslo", "Pacific/Auckland"]),
)
def test_a_window_opens_at_the_moment_it_said_and_not_before(
    at: datetime, opens: int, hours: int, day: str, zone: str, frozen: list[tuple[int, int]], project: str
) -> None:
    window = {"days": day, "hours": f"{opens:02}:00-{(opens + hours) % 24:02}:00", "timezone": zone}
    days = [(at.date() + timedelta(days=first), at.date() + timedelta(days=first + more)) for first, more in frozen]
    freezes = [f"{first}..{last}" for first, last in days]
    settings = Settings.model_validate({"freezes": [{"dates": each, "timezone": project} for each in freezes[1:]]})

    answer = ask(at, freezes[:1], settings, **window)

    assume(answer.state == "waits")
    assert answer.holds_at is not None
    assert ask(answer.holds_at, freezes[:1], settings, **window).state == "holds"
    assert ask(answer.holds_at - timedelta(seconds=1), freezes[:1], settings, **window).state == "waits"
