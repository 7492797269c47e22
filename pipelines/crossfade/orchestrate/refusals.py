"""From an error of the engine to what Dagster shows and does: try again later, or fail with words and no traceback."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from dagster import Failure, MetadataValue, RetryRequested

from crossfade.errors import CrossfadeError
from crossfade.execute import DatabaseUnreachable, LockBudgetExceeded
from crossfade.gates import GateUnanswered
from crossfade.ledger import LeaseLost, LeaseTaken
from crossfade.server_words import told

# What passes by itself. The engine has tried for a while before it raises one of these.
PASSING = (LeaseTaken, LeaseLost, DatabaseUnreachable, GateUnanswered, LockBudgetExceeded)


class NotItsTurn(CrossfadeError):
    """A leg was asked for while an earlier one has not passed."""


@dataclass(frozen=True)
class Patience:
    """How often a run tries again what may pass, and after how many seconds; each wait is twice the one before."""

    tries: int = 5
    first: float = 5.0

    def seconds(self, retry: int) -> float:
        return self.first * 2**retry


@contextmanager
def told_in_words(log: logging.Logger, retry: int, patience: Patience) -> Generator[None]:
    """Turns the engine's errors into Dagster's; retry: how often this was tried again already.

    Other exceptions pass, a cancel among them.
    """
    try:
        yield
    except CrossfadeError as error:
        if isinstance(error, PASSING) and retry < patience.tries:
            wait = patience.seconds(retry)
            log.warning(f"{error}\nTrying again in {wait:g} s.")
            raise RetryRequested(max_retries=patience.tries, seconds_to_wait=wait) from None
        raise _failure(error) from None
    except psycopg.Error as error:
        name, state = type(error).__name__, error.sqlstate or "none"
        words = f"{told(error)} (SQLSTATE {state})"
        raise Failure(words, {"error": name, "sqlstate": state}, allow_retries=False) from None


def _failure(error: CrossfadeError) -> Failure:
    metadata: dict[str, str | MetadataValue] = {"error": type(error).__name__}
    if error.why:
        metadata["why"] = error.why
    if error.fix:
        metadata["fix"] = error.fix
    if error.sqlstate:
        metadata["sqlstate"] = error.sqlstate
    return Failure(str(error), metadata, allow_retries=False)
