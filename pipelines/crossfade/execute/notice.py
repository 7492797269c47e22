"""What a runner tells while it works; the terminal, Dagster and tests listen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from crossfade.errors import CrossfadeError
from crossfade.gates import Answer
from crossfade.plan import Plan
from crossfade.steps.step import AnyStep


@dataclass(frozen=True)
class RunStarted:
    """A runner has the leases and begins. back: it takes back."""

    plan: Plan
    back: bool


@dataclass(frozen=True)
class RunEnded:
    """ended: how, as the outcome says; None: it was stopped, or refused or failed for the reason in `failure`."""

    ended: str | None
    failure: CrossfadeError | None = None


@dataclass(frozen=True)
class LegStarted:
    leg: str


@dataclass(frozen=True)
class LegPassed:
    """The leg's steps are done in every database and the gates after it hold. seconds: in this run."""

    leg: str
    seconds: float


@dataclass(frozen=True)
class LegUndone:
    leg: str


@dataclass(frozen=True)
class StepStarted:
    step: AnyStep


@dataclass(frozen=True)
class StepFinished:
    """seconds: in this run. lock_wait: of these, waited for locks over all attempts; held: held them, in the last.

    unknown: rows of the table that a walk had no values for.
    """

    step: AnyStep
    seconds: float
    rows: int = 0
    attempts: int = 1
    lock_wait: float = 0.0
    held: float = 0.0
    batches: int = 0
    unknown: int = 0


@dataclass(frozen=True)
class Progress:
    """A walk under way. share: 0 to 1. rate: rows a second lately. left: seconds, when it can be told.

    throttled: why it waits right now.
    """

    step: AnyStep
    share: float
    rows: int
    batches: int
    rate: float
    left: float | None
    throttled: str | None


@dataclass(frozen=True)
class Blocker:
    """A session that kept us waiting. query: without its values. seconds: age of its transaction."""

    pid: int
    role: str
    application: str
    state: str
    seconds: float
    query: str

    def __str__(self) -> str:
        who = f"{self.role} {self.application}".rstrip()
        return f"pid {self.pid} ({who}, {self.state} for {self.seconds:.0f} s): {self.query}"


@dataclass(frozen=True)
class Retrying:
    """An attempt failed for a passing reason; the next one follows after `delay` seconds."""

    step: AnyStep
    attempt: int
    reason: str
    delay: float
    blockers: tuple[Blocker, ...] = ()


@dataclass(frozen=True)
class HeldUp:
    """A concurrent build or drop waits until transactions of others are over. seconds: for which it has, in all."""

    step: AnyStep
    seconds: float
    blockers: tuple[Blocker, ...]


@dataclass(frozen=True)
class Reconnecting:
    """A database went away in the middle; the run goes on when it is back."""

    reason: str
    delay: float


@dataclass(frozen=True)
class GateAnswered:
    point: str
    label: str
    answer: Answer


Notice = (
    RunStarted
    | RunEnded
    | LegStarted
    | LegPassed
    | LegUndone
    | StepStarted
    | StepFinished
    | Progress
    | Retrying
    | HeldUp
    | Reconnecting
    | GateAnswered
)
Listener = Callable[[Notice], None]


def ignore(_notice: Notice) -> None:
    """Listens to nothing."""
