"""Our end of the pipes to the process of the clients."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from crossfade.demo.clients.messages import Command, Figures, Told, Verdict, Version
from crossfade.errors import CrossfadeError

_END_SECONDS = 10.0


class ClientsGone(CrossfadeError):
    """The process of the clients ended by itself."""


class Clients:
    """The running applications; they end with this context. `figures`: what they have seen so far."""

    def __init__(self) -> None:
        self.figures = Figures()
        # A session of its own: Ctrl-C in the terminal is for us, and we end the clients in order.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "crossfade.demo.clients"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._heard = threading.Condition()
        self._deployed: set[Version] = set()
        self._drained: set[Version] = set()
        self._verdict: Verdict | None = None
        self._gone = False
        self._reader = threading.Thread(target=self._listen, name="clients", daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._reader.join()

    def deploy(self, version: Version) -> None:
        """Start the instances of a version, and wait until they work; they do so until it is drained."""
        self._say(Command(deploy=version))
        self._wait(lambda: version in self._deployed)

    def drain(self, version: Version) -> None:
        """End the instances of a version and wait for their last statements."""
        self._say(Command(drain=version))
        self._wait(lambda: version in self._drained)

    def finish(self) -> Verdict:
        """End all instances and have what they wrote compared with the rows."""
        self._say(Command(finish=True))
        self._wait(lambda: self._verdict is not None)
        assert self._verdict is not None
        return self._verdict

    def _say(self, command: Command) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(command.model_dump_json(exclude_none=True) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._broken() from None

    def _wait(self, answered: Callable[[], bool]) -> None:
        with self._heard:
            self._heard.wait_for(lambda: answered() or self._gone)
        if not answered():
            raise self._broken()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = Told.model_validate_json(line)
            with self._heard:
                self.figures = told.figures or self.figures
                self._verdict = told.verdict or self._verdict
                if told.deployed is not None:
                    self._deployed.add(told.deployed)
                if told.drained is not None:
                    self._drained.add(told.drained)
                self._heard.notify_all()
        with self._heard:
            self._gone = True
            self._heard.notify_all()

    def _broken(self) -> ClientsGone:
        return ClientsGone(
            f"the process of the demo's clients ended with code {self._process.wait()}",
            why="its last words stand above",
            fix="run the demo again; if it happens again, please report it",
        )
