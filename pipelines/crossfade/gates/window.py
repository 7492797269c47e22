"""window: the hours in which people are there to look after what happens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from itertools import chain
from zoneinfo import ZoneInfo

from pydantic import Field

from crossfade.gates._freeze import binding, stated
from crossfade.gates._gate import Answer, Gate, GateContext
from crossfade.spec.calendar import Span, instant, span_of, without
from crossfade.spec.window import Window

_DAY = timedelta(days=1)
_FORTNIGHT = 15  # days: a week, and another one where clocks skip all of the first window


class WindowGate(Gate):
    """Hold between two times of day, on some days of the week, but not while the project is frozen."""

    window: Window = Field(description="The days and hours in which it holds.")

    @property
    def label(self) -> str:
        window = self.window
        closed = f" except {', '.join(window.freeze)}" if window.freeze else ""
        return f"window {window.days} {window.hours} {window.timezone}{closed}"

    def ask(self, context: GateContext) -> Answer:
        zone = ZoneInfo(self.window.timezone)
        freezes = binding(context)
        own = [span_of(dates, zone) for dates in self.window.freeze]
        closed = [*own, *(freeze.span for freeze in freezes)]
        for opens, closes in self._open(zone, context.now, closed):
            evidence = {"opens": opens.isoformat(), "closes": closes.isoformat(), **stated(freezes)}
            if opens <= context.now < closes:
                return Answer("holds", f"open until {_local(closes, zone)}", evidence=evidence)
            if context.now < opens:
                frozen = any(begin <= context.now < end for begin, end in own)
                reason = f"{'frozen; ' if frozen else ''}opens {_local(opens, zone)}"
                return Answer("waits", reason, opens, evidence)
        raise AssertionError("a window opens within two weeks of the last freeze")

    def _open(self, zone: ZoneInfo, now: datetime, closed: Sequence[Span]) -> Iterator[Span]:
        """When it is open, in order: from yesterday, since it may run past midnight."""
        first = now.astimezone(zone).date() - _DAY
        last = max([now, *(span.end for span in closed)]).astimezone(zone).date() + _FORTNIGHT * _DAY
        hours = (self._span(first + step * _DAY, zone) for step in range((last - first).days))
        return chain.from_iterable(without(span, closed) for span in hours if span is not None)

    def _span(self, day: date, zone: ZoneInfo) -> Span | None:
        """What begins on that day; None when nothing does, or the clocks skip all of it."""
        if day.weekday() not in self.window.weekdays():
            return None
        begin, end = self.window.span()
        closing_day = day + _DAY if end < begin or end == time.max else day
        closing_time = time.min if end == time.max else end
        span = Span(instant(day, begin, zone), instant(closing_day, closing_time, zone))
        return span if span.begin < span.end else None


def _local(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%a %Y-%m-%d %H:%M} {zone.key}"
