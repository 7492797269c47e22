"""Days on which nothing begins: dates and ranges of them, and the freezes that a whole project keeps."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, Field

from crossfade.spec.errors import nearest
from crossfade.spec.values import SpecModel

_DATE = r"2[0-9]{3}-[0-9]{2}-[0-9]{2}"
_DATES = rf"^{_DATE}(?:\.\.{_DATE})?$"
_LONGEST = timedelta(days=366)
_DAY = timedelta(days=1)


class Span(NamedTuple):
    """From one instant to before another, both in UTC."""

    begin: datetime
    end: datetime


def days_of(dates: str) -> tuple[date, date]:
    """The first and the last day of `2026-12-24` or `2026-12-20..2027-01-03`."""
    first, _, last = dates.partition("..")
    return date.fromisoformat(first), date.fromisoformat(last or first)


def check_dates(text: str) -> str:
    """The text if it is a date or a range; raises ValueError that says how they are written."""
    if not re.fullmatch(_DATES, text):
        raise ValueError("dates are written 2026-12-24 or 2026-12-20..2027-01-03, both days included")
    try:
        first, last = days_of(text)
    except ValueError:
        raise ValueError("there is no such day in the calendar") from None
    if last < first:
        raise ValueError("the last day is before the first one")
    if last - first >= _LONGEST:
        raise ValueError("a range is a year long at most: longer than that nobody means to wait")
    return text


def check_timezone(name: str) -> str:
    """The name if the IANA time zone database has it; raises ValueError with the nearest one."""
    # Here, because most specs name none: zoneinfo searches files.
    from zoneinfo import ZoneInfo, available_timezones

    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        guess = nearest(name, available_timezones())
        meant = f"; did you mean `{guess}`?" if guess else ", such as Europe/Oslo or UTC"
        raise ValueError(f"`{name}` is no IANA time zone{meant}") from None
    return name


Dates = Annotated[
    str,
    AfterValidator(check_dates),
    Field(examples=["2026-12-24", "2026-12-20..2027-01-03"], json_schema_extra={"pattern": _DATES}),
]
Timezone = Annotated[
    str,
    AfterValidator(check_timezone),
    Field(description="A name of the IANA time zone database.", examples=["Europe/Oslo"]),
]


class Freeze(SpecModel):
    """Days on which no phase or stage of the project's migrations begins."""

    dates: Dates = Field(description="A day, or the first and the last of several.")
    timezone: Timezone = Field(default="UTC", description="Where the days begin and end.", examples=["Europe/Oslo"])
    why: str | None = Field(default=None, description="Shown to whoever waits for it.", examples=["Christmas"])
    databases: tuple[str, ...] = Field(
        default=(), description="Only migrations that change one of these; default: all."
    )

    def binds(self, databases: Iterable[str]) -> bool:
        """It is meant for a migration that changes these databases."""
        return not self.databases or not set(self.databases).isdisjoint(databases)

    @property
    def span(self) -> Span:
        from zoneinfo import ZoneInfo

        return span_of(self.dates, ZoneInfo(self.timezone))


def span_of(dates: str, zone: tzinfo) -> Span:
    """From the first day's beginning to the last one's end, as the clocks of the zone have them."""
    first, last = days_of(dates)
    return Span(instant(first, time.min, zone), instant(last + _DAY, time.min, zone))


def instant(day: date, at: time, zone: tzinfo) -> datetime:
    """A local time, in UTC: of two that the clocks show the first, and an hour later where they skip it."""
    # In UTC, since two times of one zone are compared by their clocks, whatever the offsets.
    return datetime.combine(day, at, tzinfo=zone).astimezone(UTC)


def without(span: Span, closed: Iterable[Span]) -> Sequence[Span]:
    """What is left of a span, in order."""
    left = [span]
    for gone in closed:
        parts = [
            part
            for each in left
            for part in (Span(each.begin, min(each.end, gone.begin)), Span(max(each.begin, gone.end), each.end))
        ]
        left = [part for part in parts if part.begin < part.end]
    return left
