"""Processes that own a server and can be killed, and a look at what is left of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg

import crossfade

PACKAGE_ROOT = str(Path(crossfade.__file__).parent.parent)

PROGRAM = """
import json, os, sys, time
from pathlib import Path
from crossfade.server import start_local

kind, parent, forking = sys.argv[1:]
server = start_local(kind, parent=Path(parent))
if forking == "forking" and os.fork() == 0:
    for descriptor in range(3):
        os.close(descriptor)
    time.sleep(20)
    os._exit(0)
told = {"url": server.url, "data_directory": str(server.data_directory), "guardian": server.guardian_pid}
print(json.dumps(told), flush=True)
sys.stdin.read()
server.stop()
"""


@dataclass(frozen=True)
class Owner:
    """A process that started a server and stops it when its stdin closes."""

    process: subprocess.Popen[str]
    url: str
    data_directory: Path
    guardian: int

    @property
    def home(self) -> Path:
        """The server's temporary directory."""
        return self.data_directory.parent

    def server_is_gone(self) -> bool:
        """Whether neither a process nor the temporary directory is left, after waiting for it."""
        return settles(lambda: not self.home.exists() and not processes_of(self.home))


def launch(
    parent: Path,
    *,
    kind: str = "wheel",
    forking: bool = False,
    interpreter: tuple[str, ...] = (sys.executable,),
    path: tuple[str, ...] = (PACKAGE_ROOT,),
) -> Owner:
    """Start an owner in a session of its own, and wait until its server runs.

    parent: where the server's temporary directory goes. forking: have it fork a child that outlives it.
    interpreter: and what it runs below. path: of Python's modules.
    """
    process = subprocess.Popen(
        [*interpreter, "-c", PROGRAM, kind, str(parent), "forking" if forking else "alone"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path)},
        cwd="/",
        start_new_session=True,
    )
    assert process.stdout
    told = json.loads(process.stdout.readline())
    return Owner(process, told["url"], Path(told["data_directory"]), told["guardian"])


def end(owner: Owner) -> None:
    """Kill it with all it forked, and wait for its guardian, if it lives, to clean up."""
    with suppress(ProcessLookupError):
        os.killpg(owner.process.pid, signal.SIGKILL)
    with owner.process:  # waits, and closes the pipes
        pass
    settles(lambda: not Path(f"/proc/{owner.guardian}").exists())


def processes_of(path: Path) -> list[int]:
    """The processes in whose command line the path occurs."""
    found: list[int] = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.fsencode(path) in (entry / "cmdline").read_bytes() and entry.name != str(os.getpid()):
                found.append(int(entry.name))
    return found


def settles(is_so: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Whether it becomes so within the time."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def ask(url: str, statement: str) -> object:
    """Run one statement, and return the first column of its first row if it has any."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None
