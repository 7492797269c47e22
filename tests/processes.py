"""Runners in processes of their own, to be killed. They are forked from a server that has imported crossfade once."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

import psycopg

from crossfade.changes import CHANGES
from crossfade.errors import CrossfadeError
from crossfade.execute import Runner
from crossfade.gates import GATES
from crossfade.spec import load_project

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["__main__", __name__])
for _kinds in (CHANGES, GATES):  # imported when first used, which would be in every process anew
    for _kind in _kinds.names():
        _kinds.model(_kind)

Act = Literal["advance", "rollback"]


@dataclass(frozen=True)
class Order:
    """What a runner is to do.

    environment: what it finds there besides what this process had when the first runner started.
    leg: through which to advance, or which to roll back to; None: all the way.
    fault: a point of crossfade.execute.fault at which it kills itself; "" for none.
    """

    root: Path
    migration: str
    environment: Mapping[str, str]
    act: Act = "advance"
    leg: str | None = None
    fault: str = ""


@dataclass(frozen=True)
class Ending:
    """How a runner ended.

    killed; or its outcome, e.g. `complete`; or the error it raised, by type and words. `Server`: one of PostgreSQL or
    of the connection that nothing but the command line puts into words.
    """

    killed: bool = False
    outcome: str | None = None
    error: str | None = None
    said: str = ""


class RunnerProcess:
    """A runner at work."""

    def __init__(self, order: Order) -> None:
        self._answer, theirs = FORKS.Pipe(duplex=False)
        self._process = FORKS.Process(target=_work, args=(order, theirs), daemon=True)
        self._process.start()
        theirs.close()

    @property
    def running(self) -> bool:
        return self._process.is_alive()

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def stall(self) -> None:
        """Stop it where it stands, as a suspended machine would."""
        self._signal(signal.SIGSTOP)

    def wake(self) -> None:
        self._signal(signal.SIGCONT)

    def waits_for_a_signal(self) -> bool:
        """Wait until it has stopped, or ended; tells which."""
        while not self.wait(0.01):
            with suppress(FileNotFoundError, ProcessLookupError):
                state = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()[0]
                if state == "T":
                    return True
        return False

    def wait(self, seconds: float) -> bool:
        """It has ended, or does so in time."""
        self._process.join(seconds)
        return not self._process.is_alive()

    def ending(self, patience: float = 120.0) -> Ending:
        """Wait until it ends; one that does not is killed, which is an error of its own."""
        if not self.wait(patience):
            self.kill()
            self._process.join(10)
            return Ending(error="Hanging", said=f"the runner did not end within {patience:.0f} s")
        with suppress(EOFError):
            if self._answer.poll(0):
                return self._answer.recv()
        code = self._process.exitcode
        return Ending(killed=True) if code == -signal.SIGKILL else Ending(error="Crash", said=f"exit code {code}")

    def _signal(self, number: int) -> None:
        if self._process.pid is not None and self._process.is_alive():
            os.kill(self._process.pid, number)


def _work(order: Order, answer: Connection) -> None:
    """The body of the process."""
    os.environ.update(order.environment, CROSSFADE_FAULT=order.fault)
    answer.send(_run(order))


def _run(order: Order) -> Ending:
    try:
        project = load_project(order.root, changes=CHANGES, gates=GATES)
        migration = next(known for known in project.migrations if known.id == order.migration)
        runner = Runner(project)
        if order.act == "advance":
            outcome = runner.advance(migration, through=order.leg)
        else:
            outcome = runner.rollback(migration.id, to=order.leg)
    except CrossfadeError as refusal:
        return Ending(error=type(refusal).__name__, said=str(refusal))
    except psycopg.Error as refusal:
        return Ending(error="Server", said=f"SQLSTATE {refusal.sqlstate}: {refusal}")
    except Exception as broken:
        return Ending(error="Unexpected", said=f"{type(broken).__name__}: {broken}")
    return Ending(outcome=outcome.ended)
