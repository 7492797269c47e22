"""The hours in which contract may act: weekdays, a span of the day, a time zone."""

from __future__ import annotations

import re
from datetime import time
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from crossfade.spec.calendar import Dates, Timezone
from crossfade.spec.values import SpecModel, listed

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = "|".join(_WEEKDAYS)
_DAYS = rf"^(?:{_DAY})(?:-(?:{_DAY}))?(?:\s*,\s*(?:{_DAY})(?:-(?:{_DAY}))?)*$"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_HOURS = rf"^(?:{_TIME})-(?:{_TIME}|24:00)$"


class Window(SpecModel):
    """When contract may act; hours that end before they begin run past midnight, into the following day."""

    days: str = Field(default="mon-sun", examples=["mon-thu", "sat,sun"], json_schema_extra={"pattern": _DAYS})
    hours: str = Field(default="00:00-24:00", examples=["09:00-16:00"], json_schema_extra={"pattern": _HOURS})
    timezone: Timezone = "UTC"
    freeze: Annotated[tuple[Dates, ...], BeforeValidator(listed)] = Field(
        default=(), description="Days on which it stays closed."
    )

    def weekdays(self) -> frozenset[int]:
        """The days on which the window opens, as datetime.weekday() counts: Monday is 0."""
        found: set[int] = set()
        for part in re.split(r"\s*,\s*", self.days):
            first, _, last = part.partition("-")
            begin, end = _WEEKDAYS.index(first), _WEEKDAYS.index(last or first)
            # `fri-mon` goes over the end of the week
            found |= {(begin + step) % 7 for step in range((end - begin) % 7 + 1)}
        return frozenset(found)

    def span(self) -> tuple[time, time]:
        """The local times at which the window opens and closes.

        24:00 is time.max. When the second is before the first, the window closes on the following day.
        """
        begin, end = self.hours.split("-")
        return time.fromisoformat(begin), time.max if end == "24:00" else time.fromisoformat(end)

    @field_validator("days")
    @classmethod
    def _days_are_known(cls, value: str) -> str:
        if re.fullmatch(_DAYS, value):
            return value
        for word in re.findall(r"\w+", value):
            if word not in _WEEKDAYS:
                raise ValueError(f"`{word}` is no day of the week; write mon, tue, ... as in mon-thu or sat,sun")
        raise ValueError("days are written like mon-thu or sat,sun or mon-wed,fri")

    @field_validator("hours")
    @classmethod
    def _hours_are_a_span(cls, value: str) -> str:
        if not re.fullmatch(_HOURS, value):
            raise ValueError("hours are written HH:MM-HH:MM, e.g. 09:00-16:00; the last is 24:00")
        return value

    @model_validator(mode="after")
    def _window_is_not_empty(self) -> Self:
        begin, end = self.span()
        if begin == end:
            raise ValueError("the window closes when it opens; for the whole day write 00:00-24:00")
        return self
