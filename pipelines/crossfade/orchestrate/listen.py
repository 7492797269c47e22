"""Hears what the engine tells while a leg runs: lines for the log, observations of walks, and totals for the asset."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from crossfade.execute import (
    GateAnswered,
    HeldUp,
    LegPassed,
    LegStarted,
    Notice,
    Progress,
    Reconnecting,
    Retrying,
    StepFinished,
)
from crossfade.gates import Answer

# A line costs 5 ms and an observation 10 ms on a PostgreSQL instance: far too much for each batch.
TELL_EVERY = 5.0

Observe = Callable[[Mapping[str, float | str]], None]


def unobserved(_metadata: Mapping[str, float | str]) -> None:
    """For those who run no walk."""


@dataclass
class Ear:
    """Listens to a Runner. steps: as they finished. answers: by point, then by gate, in the order asked."""

    log: logging.Logger
    observe: Observe = unobserved
    every: float = TELL_EVERY
    steps: list[StepFinished] = field(default_factory=list[StepFinished])
    answers: dict[str, dict[str, Answer]] = field(default_factory=dict[str, dict[str, Answer]])
    retries: int = 0
    _told: dict[type, float] = field(default_factory=dict[type, float])

    def __call__(self, notice: Notice) -> None:
        match notice:
            case StepFinished():
                self.steps.append(notice)
                self.log.info(_finished(notice))
            case Progress() if self._is_due(Progress):
                self.log.info(_progress(notice))
                self.observe(_measures(notice))
            case Retrying():
                self.retries += 1
                if self._is_due(Retrying):
                    self.log.warning(_retrying(notice))
            case HeldUp() if self._is_due(HeldUp):
                self.log.warning(_held_up(notice))
            case Reconnecting() if self._is_due(Reconnecting):
                self.log.warning(f"a database went away: {notice.reason}; tried again every {notice.delay:.0f} s")
            case GateAnswered():
                self.answers.setdefault(notice.point, {})[notice.label] = notice.answer
                self.log.info(f"{notice.point}: {notice.label} {notice.answer.state}: {notice.answer.reason}")
            case LegStarted():
                self.log.info(f"{notice.leg} begins")
            case LegPassed():
                self.log.info(f"{notice.leg} has passed after {notice.seconds:.1f} s")
            case _:
                pass

    def _is_due(self, kind: type) -> bool:
        now = time.monotonic()
        if now - self._told.get(kind, float("-inf")) < self.every:
            return False
        self._told[kind] = now
        return True


def _finished(notice: StepFinished) -> str:
    parts = [f"{notice.seconds:.1f} s"]
    if notice.batches:
        parts.append(f"{notice.rows:,} rows in {notice.batches:,} batches")
    if notice.held and notice.step.locks:
        parts.append(f"locks held {notice.held:.3f} s")
    if notice.attempts > 1:
        parts.append(f"{notice.attempts} attempts, {notice.lock_wait:.1f} s waiting for locks")
    if notice.unknown:
        parts.append(f"nothing is given back to {notice.unknown:,} rows")
    return f"done in {notice.step.database}: {notice.step.title} ({', '.join(parts)})"


def _progress(notice: Progress) -> str:
    left = f", about {notice.left:.0f} s left" if notice.left is not None else ""
    waits = f"; waits: {notice.throttled}" if notice.throttled else ""
    rate = f", {notice.rate:,.0f} a second" if notice.rate else ""  # the first batch has nothing to be measured against
    return f"{notice.step.title}: {notice.share:.0%}, {notice.rows:,} rows{rate}{left}{waits}"


def _measures(notice: Progress) -> dict[str, float | str]:
    measured: dict[str, float | str] = {
        "step": notice.step.title,
        "percent": round(100 * notice.share, 1),
        "rows": notice.rows,
    }
    if notice.rate:
        measured["rows a second"] = round(notice.rate)
    if notice.left is not None:
        measured["seconds left"] = round(notice.left)
    if notice.throttled:
        measured["waits for"] = notice.throttled
    return measured


def _held_up(notice: HeldUp) -> str:
    lines = [f"`{notice.step.title}` waits until others end their transactions, for {notice.seconds:.0f} s so far"]
    return "\n".join([*lines, *(f"  held up by {blocker}" for blocker in notice.blockers)])


def _retrying(notice: Retrying) -> str:
    lines = [f"attempt {notice.attempt} of `{notice.step.title}`: {notice.reason}; again in {notice.delay:.1f} s"]
    return "\n".join([*lines, *(f"  held by {blocker}" for blocker in notice.blockers)])
