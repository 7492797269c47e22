"""How an execution refuses or fails; and which server errors pass by themselves."""

from __future__ import annotations

import psycopg
from psycopg import errors

from crossfade.errors import CrossfadeError


class StepRefused(CrossfadeError):
    """A step found something that must not be: rows that break a rule, a guard that does not hold."""


class LockBudgetExceeded(CrossfadeError):
    """Others held the lock for longer than the spec allows us to try."""


class SpecEdited(CrossfadeError):
    """The spec of a started migration is not the one it started with."""


class Blocked(CrossfadeError):
    """The migration may not start or go on now: another one comes first, or it is being undone."""


class ExecutionFailed(CrossfadeError):
    """The server refused a statement for a reason that does not pass by itself."""


class InDoubt(CrossfadeError):
    """Whether a step that was cut off had an effect cannot be told here; a person must say."""


class Paused(Exception):
    """A person paused the migration; what is done is kept."""


class WitnessChanged(Exception):
    """What a check saw is not so any more; the check is asked again."""


PASSING = (
    errors.LockNotAvailable,
    errors.DeadlockDetected,
    errors.SerializationFailure,
)
# Cardinality, data, integrity, a routine's own refusal, a view's check, and what PL/pgSQL raises.
_ABOUT_ROWS = {"21", "22", "23", "38", "39", "44", "P0"}
LOST = (
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.ConnectionException,
    errors.IdleInTransactionSessionTimeout,
    errors.TooManyConnections,
)


def is_lost(error: psycopg.Error) -> bool:
    """The session is gone, the server may come back."""
    return isinstance(error, LOST) or (isinstance(error, psycopg.OperationalError) and error.sqlstate is None)


def is_about_rows(error: psycopg.Error) -> bool:
    """A row's data, and not the statement, the server or the moment, is why it was refused (SQLSTATE classes)."""
    return (error.sqlstate or "")[:2] in _ABOUT_ROWS
