"""The process a guardian works for, seen from the guardian."""

from __future__ import annotations

import json
import os
import select
from contextlib import suppress


class Gone(Exception):
    """The owner has ended, or somebody asked the guardian to end."""


class Owner:
    """The process at the other end of stdin and stdout."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._unread = b""
        self._ended = False

    def end(self) -> None:
        """Take the owner for gone from now on."""
        self._ended = True

    def request(self) -> str:
        """The next line, waited for as long as the owner lives; raises Gone when it has ended."""
        while b"\n" not in self._unread:
            self.watch(0.5)
        line, self._unread = self._unread.split(b"\n", 1)
        return line.decode()

    def report(self, facts: dict[str, object]) -> None:
        with suppress(BrokenPipeError):  # the next look at the other pipe finds the owner gone
            os.write(1, json.dumps(facts).encode() + b"\n")

    def watch(self, seconds: float) -> None:
        """Wait for that long, or until the owner writes; raises Gone when it has ended."""
        if select.select([0], [], [], seconds)[0]:
            piece = os.read(0, 65536)
            if not piece:
                raise Gone
            self._unread += piece
        # A process forked by the owner holds the pipe open after the owner's end; our parent's id tells.
        if self._ended or os.getppid() != self._pid:
            raise Gone
