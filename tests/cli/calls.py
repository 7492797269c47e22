"""Ways to call the command line: in this process, in one of its own, and on a terminal."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from tests.scene import Scene
from typer.testing import CliRunner, Result

from crossfade.cli import app

# As from a terminal: where the tests themselves run in the background, the shell has SIGINT ignored below it.
_PROGRAM = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv[0] = 'crossfade'
from crossfade.cli import main
main()
"""
_CODES = re.compile(rb"\x1b\[[0-9;?]*[a-zA-Z]")


class Call:
    """Calls commands on the project under `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self, *arguments: str, answers: str | None = None) -> Result:
        """In this process; a failure that no handler put into words is raised here."""
        result = CliRunner().invoke(app, ["--project", str(self.root), *arguments], input=answers)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def begin(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        """In a process of its own, with `more` in its environment."""
        return subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, "--project", str(self.root), *arguments],
            env=environment() | more,
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def on_terminal(self, *arguments: str, answers: dict[str, str], columns: int = 120) -> tuple[int, str]:
        """On a terminal, where each question that ends in a key of `answers` is answered; gives exit code and text."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, "--project", str(self.root), *arguments],
            env=environment() | {"TERM": "xterm-256color", "COLUMNS": str(columns)},
            cwd=self.root,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        said, waiting, deadline = b"", dict(answers), time.monotonic() + 120
        # Linux answers EIO when the other end is closed.
        with suppress(OSError):
            while time.monotonic() < deadline and (part := os.read(ours, 65536)):
                said += part
                for question in [question for question in waiting if question.encode() in said]:
                    os.write(ours, f"{waiting.pop(question)}\n".encode())
        os.close(ours)
        return process.wait(30), _CODES.sub(b"", said).decode().replace("\r", "\n")


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}


def state(scene: Scene) -> tuple[object, ...]:
    """All a refused command must leave as it was: every relation, and what the ledger says."""
    relations = scene.sql("SELECT oid::regclass::text, relfilenode FROM pg_class WHERE oid > 16384 ORDER BY 1")
    if not scene.one("SELECT to_regclass('crossfade.event') IS NOT NULL"):
        return (relations,)
    return relations, scene.sql("SELECT max(seq) FROM crossfade.event"), scene.sql("TABLE crossfade.migration")
