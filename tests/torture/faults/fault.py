"""What a fault is, and when it may strike."""

from __future__ import annotations

import random
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import psycopg
from tests.processes import Ending, RunnerProcess
from tests.torture.place import Place

if TYPE_CHECKING:
    from tests.torture.run import Run


class Fault:
    """No fault: what the others are in all they do not say.

    most: how often it strikes in a run.
    delays_writers: it keeps writers waiting itself, by rows that it holds, or with the server, network or runner that
        it stops. Under any other a writer waits for no longer than locks.timeout and what the machine adds.
    """

    name: ClassVar[str] = "none"
    locks: ClassVar[dict[str, str]] = {"timeout": "1s", "budget": "30s"}
    most: ClassVar[int] = 0
    delays_writers: ClassVar[bool] = False

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.struck = 0

    @property
    def left(self) -> bool:
        return self.struck < self.most

    @contextmanager
    def tablespace(self, place: Place) -> Generator[str | None]:
        """Where the database is put."""
        yield None

    @contextmanager
    def port(self, place: Place) -> Generator[int | None]:
        """Through which the runners and the writers reach the server."""
        yield None

    def prepare(self, admin: psycopg.Connection[Any], database: str) -> None:
        """Before the migration starts."""

    def arm(self) -> str:
        """The point at which the next runner kills itself."""
        return ""

    def strike(self, run: Run, process: RunnerProcess) -> None:
        """While a runner works. Returns when it has ended, or when there is nothing more to do to it."""

    def explains(self, ending: Ending) -> bool:
        """A runner may end so because of the fault."""
        return False

    def lift(self, run: Run) -> None:
        """Take the fault away, so that the next runner can go on."""

    def excuses(self, error: psycopg.Error) -> bool:
        """A writer's statement may fail so because of the fault."""
        return False
