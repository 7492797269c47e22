"""The course of one migration: what its runner has told so far, as figures and as lines."""

from __future__ import annotations

from dataclasses import dataclass, field

from crossfade.execute import (
    GateAnswered,
    LegPassed,
    LegStarted,
    Notice,
    Progress,
    Retrying,
    StepFinished,
    StepStarted,
)
from crossfade.plan import Plan
from crossfade.report.measures import said_seconds
from crossfade.steps.step import BACKFILL, Walk


@dataclass
class Course:
    """One migration under way.

    rows, walk_seconds: of its backfill. seconds: that its runs took, without the waits between them.
    lock_wait, retries: of its DDL. held: gates that held. stopped: how often one stopped it until somebody acted.
    waits_for: the gate it waits for now, and why.
    """

    plan: Plan
    rows: int = 0
    walk_seconds: float = 0.0
    seconds: float = 0.0
    lock_wait: float = 0.0
    retries: int = 0
    held: int = 0
    stopped: int = 0
    passed: list[str] = field(default_factory=list[str])
    leg: str | None = None
    doing: str | None = None
    progress: Progress | None = None
    waits_for: str | None = None
    complete: bool = False

    @property
    def rate(self) -> float | None:
        """Rows a second over the whole backfill; None where no row was written."""
        return self.rows / self.walk_seconds if self.rows and self.walk_seconds else None

    def note(self, notice: Notice) -> str | None:
        """Take in what the runner tells; gives a line where it is worth one."""
        match notice:
            case LegStarted(leg):
                self.leg, self.waits_for = leg, None
            case StepStarted(step):
                self.doing, self.progress = step.title, None
            case Progress():
                self.progress = notice
            case StepFinished():
                self.doing = self.progress = None
                self._count(notice)
            case Retrying():
                self.retries += 1
                return _retry(notice)
            case GateAnswered():
                return self._answer(notice)
            case LegPassed(leg, seconds):
                self.passed.append(leg)
                self.leg = None
                walked = f", {self.rows:,} rows at {self.rate:,.0f} rows/s" if leg == "backfill" and self.rate else ""
                return f"{leg} done in {said_seconds(seconds)}{walked}"
            case _:
                pass
        return None

    def _count(self, finished: StepFinished) -> None:
        self.lock_wait = max(self.lock_wait, finished.lock_wait)
        if isinstance(finished.step, Walk) and finished.step.leg == BACKFILL:
            self.rows += finished.rows
            self.walk_seconds += finished.seconds

    def _answer(self, answered: GateAnswered) -> str | None:
        said = f"{answered.label}, {answered.point}: {answered.answer.reason}"
        if answered.answer.state == "holds":
            self.held += 1
            return f"✔ {said}"
        self.waits_for = said
        if answered.answer.holds_at is not None:  # it only wants time
            return None
        self.stopped += 1
        return f"✘ {said}"


def _retry(retrying: Retrying) -> str:
    holding = [f"{blocker.application}: {blocker.query}".removeprefix(": ") for blocker in retrying.blockers]
    behind = f", held by {'; '.join(holding)}" if holding else ""
    return f"{retrying.step.title}: {retrying.reason}{behind}; again in {said_seconds(retrying.delay)}"
