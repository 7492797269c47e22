"""Runs steps on real databases: short DDL with retries, concurrent builds, walks over rows, checks; forward and back.

The ledger is the only state: killed anywhere, the same call goes on.
"""

from crossfade.execute.errors import Blocked, ExecutionFailed, InDoubt, LockBudgetExceeded, SpecEdited, StepRefused
from crossfade.execute.gatekeeper import Waiting
from crossfade.execute.looking import Lookout, Next
from crossfade.execute.notice import (
    Blocker,
    GateAnswered,
    HeldUp,
    LegPassed,
    LegStarted,
    LegUndone,
    Listener,
    Notice,
    Progress,
    Reconnecting,
    Retrying,
    RunEnded,
    RunStarted,
    StepFinished,
    StepStarted,
    ignore,
)
from crossfade.execute.pausing import pause, resume
from crossfade.execute.runner import Outcome, Runner
from crossfade.execute.session import DatabaseUnreachable, open_session, reading

__all__ = [
    "Blocked",
    "Blocker",
    "DatabaseUnreachable",
    "ExecutionFailed",
    "GateAnswered",
    "HeldUp",
    "InDoubt",
    "LegPassed",
    "LegStarted",
    "LegUndone",
    "Listener",
    "LockBudgetExceeded",
    "Lookout",
    "Next",
    "Notice",
    "Outcome",
    "Progress",
    "Reconnecting",
    "Retrying",
    "RunEnded",
    "RunStarted",
    "Runner",
    "SpecEdited",
    "StepFinished",
    "StepRefused",
    "StepStarted",
    "Waiting",
    "ignore",
    "open_session",
    "pause",
    "reading",
    "resume",
]
