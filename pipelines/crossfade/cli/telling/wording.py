"""The sentences for what a runner tells and how a run ended; the same on a terminal and in a log."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from crossfade.execute import (
    GateAnswered,
    HeldUp,
    LegPassed,
    LegStarted,
    LegUndone,
    Outcome,
    Progress,
    Reconnecting,
    Retrying,
    StepFinished,
    Waiting,
)
from crossfade.report.measures import said_moment, said_seconds

_ANSWERS = {"holds": "holds", "waits": "does not hold yet", "never": "will not hold"}


def finished(notice: StepFinished) -> str:
    """A step with what it took."""
    parts = [said_seconds(notice.seconds)]
    if notice.rows or notice.batches:
        parts.insert(0, f"{notice.rows:,} rows in {notice.batches:,} batches")
    if notice.held and notice.step.locks:
        parts.append(f"locks held {said_seconds(notice.held)}")
    if notice.attempts > 1:
        parts.append(f"{notice.attempts} attempts, {said_seconds(notice.lock_wait)} waiting for locks")
    if notice.unknown:
        parts.append(f"nothing is given back to {notice.unknown:,} rows")
    return f"{notice.step.title} ({', '.join(parts)})"


def walking(notice: Progress) -> str:
    """How far a walk is, how fast, and why it waits."""
    parts = [f"{notice.rows:,} rows", f"{notice.rate:,.0f} rows/s"]
    if notice.left is not None and notice.share < 1:
        parts.append(f"{said_seconds(notice.left)} left")
    if notice.throttled:
        parts.append(f"waits: {notice.throttled}")
    return " · ".join(parts)


def retrying(notice: Retrying) -> Iterator[str]:
    """Why an attempt failed, when the next one comes, and each session that stands in the way."""
    delay = said_seconds(notice.delay)
    yield f"attempt {notice.attempt} of “{notice.step.title}”: {notice.reason}; again in {delay}"
    for blocker in notice.blockers:
        yield f"  held by {blocker}"


def held_up(notice: HeldUp) -> Iterator[str]:
    """For how long a statement has waited, and each session that it waits for."""
    yield f"“{notice.step.title}” waits until others end their transactions, for {said_seconds(notice.seconds)} so far"
    for blocker in notice.blockers:
        yield f"  held up by {blocker}"


def reconnecting(notice: Reconnecting) -> str:
    return f"{notice.reason}; looking again in {said_seconds(notice.delay)}"


def leg(notice: LegStarted | LegPassed | LegUndone) -> str:
    match notice:
        case LegStarted():
            return notice.leg
        case LegPassed():
            return f"{notice.leg} passed in {said_seconds(notice.seconds)}"
        case LegUndone():
            return f"{notice.leg} is undone"


def answered(notice: GateAnswered) -> str:
    return f"gate {notice.point}: {notice.label} {_ANSWERS[notice.answer.state]}: {notice.answer.reason}"


def ended(outcome: Outcome) -> Iterator[str]:
    """What became of the migration, and what to do for it to go on."""
    name = outcome.migration
    match outcome.ended:
        case "complete":
            yield f"{name} is complete"
        case "undone":
            yield f"{name} is undone"
        case "paused":
            yield f"{name} is paused: `crossfade resume {name}` lets it go on"
        case "reached":
            reached = f"{outcome.passed[-1]} has passed" if outcome.passed else "nothing was to be done"
            yield f"{name}: {reached}; `crossfade up {name}` goes on"
        case "waiting":
            yield f"{name} waits {outcome.waiting[0].point}:"
            for waiting in outcome.waiting:
                yield f"  {_waiting(waiting)}"


def _waiting(waiting: Waiting) -> str:
    answer = waiting.answer
    words = f"{waiting.label}: {answer.reason}"
    if answer.state == "never":
        return f"{words} (it will not hold as things are)"
    if answer.holds_at is None:
        return words
    left = max((answer.holds_at - datetime.now(UTC)).total_seconds(), 0)
    return f"{words} (may hold at {said_moment(answer.holds_at)}, in {said_seconds(left)})"
