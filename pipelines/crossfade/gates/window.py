"""window: the hours in which people are there to look after what happens."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from pydantic import Field

from crossfade.gates._gate import Answer, Gate, GateContext
from crossfade.spec.window import Window

_DAY = timedelta(days=1)


class WindowGate(Gate):
    """Hold between two times of day, on some days of the week."""

    window: Window = Field(description="The days and hours in which it holds.")

    @property
    def label(self) -> str:
        return f"window {self.window.days} {self.window.hours} {self.window.timezone}"

    def ask(self, context: GateContext) -> Answer:
        zone = ZoneInfo(self.window.timezone)
        for opens, closes in _spans(self.window, zone, context.now):
            evidence = {"opens": opens.isoformat(), "closes": closes.isoformat()}
            if opens <= context.now < closes:
                return Answer("holds", f"open until {_local(closes, zone)}", evidence=evidence)
            if context.now < opens:
                return Answer("waits", f"opens {_local(opens, zone)}", opens, evidence)
        raise AssertionError("a window opens in two weeks at the latest")


def _spans(window: Window, zone: ZoneInfo, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """When the window opens and closes, in UTC, in order: from yesterday, since it may run past midnight."""
    begin, end = window.span()
    days_open = window.weekdays()
    today = now.astimezone(zone).date()
    for day in (today + step * _DAY for step in range(-1, 15)):
        if day.weekday() in days_open:
            closing_day = day + _DAY if end < begin or end == time.max else day
            closing_time = time.min if end == time.max else end
            opens, closes = _instant(day, begin, zone), _instant(closing_day, closing_time, zone)
            if opens < closes:  # not so when clocks skip all of it
                yield opens, closes


def _instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    # In UTC, since two times of one zone are compared by their clocks, whatever the offsets. Where clocks are
    # put back it is the first of two such times; where they are put forward, a skipped time is an hour later.
    return datetime.combine(day, at, tzinfo=zone).astimezone(UTC)


def _local(instant: datetime, zone: ZoneInfo) -> str:
    return f"{instant.astimezone(zone):%a %Y-%m-%d %H:%M} {zone.key}"
