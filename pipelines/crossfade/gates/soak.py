"""soak: time passes, so that what the phase before did is lived with."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field, ValidationInfo, field_validator

from crossfade.gates._gate import Answer, Gate, GateContext
from crossfade.spec.model import GatePoint
from crossfade.spec.values import Duration, format_duration

_LONGEST = timedelta(days=3650)


class SoakGate(Gate):
    """Hold when the phase before has been over for this long."""

    soak: Duration = Field(description="How long the phase before must have been over.")

    @field_validator("soak")
    @classmethod
    def _ends_one_day(cls, value: timedelta) -> timedelta:
        if value > _LONGEST:
            raise ValueError("a soak lasts ten years at most")
        return value

    @field_validator("soak")
    @classmethod
    def _something_is_before(cls, value: timedelta, info: ValidationInfo) -> timedelta:
        if isinstance(info.context, GatePoint) and info.context.phase == "expand":
            raise ValueError("no phase is before expand, so a soak there would never hold")
        return value

    @property
    def label(self) -> str:
        return f"soak {format_duration(self.soak)}"

    def ask(self, context: GateContext) -> Answer:
        if context.since is None:
            return Answer("waits", "the phase before has not ended")
        until = context.since + self.soak
        evidence = {"since": context.since.isoformat(), "until": until.isoformat()}
        if until <= context.now:
            return Answer("holds", f"{format_duration(self.soak)} have passed", evidence=evidence)
        left = f"{_rough(until - context.now)} of {format_duration(self.soak)} are left"
        return Answer("waits", left, until, evidence)


def _rough(time: timedelta) -> str:
    """To the two largest units, e.g. `6d 23h`; rounded up, so that nothing left is not said too early."""
    seconds = -(-time // timedelta(seconds=1))
    if seconds >= 60:
        seconds = -(-seconds // 60) * 60
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2])
