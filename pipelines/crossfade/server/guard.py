"""The owner's end of the pipes to a guardian."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TypedDict, cast

from .errors import ServerError
from .guardian.home import is_locked, remove
from .guardian.job import Job

STOP_SECONDS = 120.0


class Facts(TypedDict):
    """A running server, as its guardian tells: process id of the postmaster, TCP port, and paths."""

    pid: int
    port: int
    home: str
    data_directory: str
    log: str


class Guard:
    """One guardian process and the server it runs; both end with this process, however it ends.

    The pipe is closed on exec. A process made by fork alone inherits its end, which the guardian sees through
    by its parent's id; such a process cannot stop the server of its parent: `stop` does nothing there.

    Raises ServerError, with the last lines of PostgreSQL's log, when the server did not start.
    """

    def __init__(self, job: Job) -> None:
        self._owner = os.getpid()
        self._turn = threading.Lock()
        # Without the virtualenv (-S) and without this package, which would take 0.4 s to import.
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-P", "-m", "guardian", str(self._owner)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd="/",
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
            start_new_session=True,
        )
        try:
            self.facts = self.ask(job.dump())
        except BaseException:
            self._end()
            raise

    @property
    def pid(self) -> int:
        """The guardian's process id."""
        return self._process.pid

    def ask(self, request: str) -> Facts:
        """Have something done, and return the facts after it; raises ServerError when it was not done."""
        assert self._process.stdin
        assert self._process.stdout
        answer = b""
        with self._turn, suppress(BrokenPipeError):
            if not self._process.stdin.closed:
                self._process.stdin.write(request.encode() + b"\n")
                answer = self._process.stdout.readline()
        if not answer:
            raise ServerError(
                "the PostgreSQL server is no more",
                why="it was stopped, or its guardian was killed and it ended with it",
                fix="start another server",
            )
        facts = json.loads(answer)
        if "failed" in facts:
            raise ServerError(f"PostgreSQL did not start: {facts['failed']}", why=facts["log"] or None)
        self.facts = cast(Facts, facts)
        return self.facts

    def stop(self) -> None:
        """Stop the server, remove its temporary directory, and wait until that is done; once is enough."""
        if os.getpid() != self._owner:
            return
        with self._turn:
            if self._process.returncode is None and self._end() != 0:
                self._clean_up()

    def _end(self) -> int:
        """Tell the guardian to end, wait for it, and return its exit code."""
        assert self._process.stdin
        assert self._process.stdout
        with suppress(BrokenPipeError), self._process.stdin:
            self._process.stdin.write(b"stop\n")
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._process.stdout.close()
        return self._process.wait()

    def _clean_up(self) -> None:
        """In place of a guardian that was killed; but on macOS, the kernel has told its server to end."""
        home = Path(self.facts["home"])
        if sys.platform != "linux" and is_locked(home):
            with suppress(ProcessLookupError):
                os.kill(self.facts["pid"], signal.SIGINT)
        remove(home)
