"""Lets clients go on when the one who made them wait has died: a process of its own, that waits for word or its end.

Its orders come on stdin, since they hold addresses with passwords: one line of JSON. Then either `done`, or the end of
the pipe, which comes whatever way the parent dies.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg

from crossfade.errors import CrossfadeError
from crossfade.execute.switch.console import Console
from crossfade.execute.switch.entry import Entry, Target
from crossfade.execute.switch.fence import lift


@dataclass(frozen=True)
class Orders:
    """console, old: addresses, of the pooler's console and of the database that clients leave. new: where they go."""

    console: str
    entry: str
    file: str
    old: str
    new: Target


@contextmanager
def guarded(orders: Orders) -> Generator[None]:
    """While it lasts, somebody else sees to it that clients go on if this process dies."""
    process = subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for the parent
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(asdict(orders)) + "\n")
        process.stdin.flush()
        process.stdout.readline()  # it watches
        yield
        with suppress(BrokenPipeError):
            process.stdin.write("done\n")
            process.stdin.flush()
    finally:
        with suppress(BrokenPipeError):
            process.stdin.close()
        process.wait()
        process.stdout.close()


def let_go_on(orders: Orders) -> None:
    """Wherever the entry points now, clients go on there, and may write."""
    if Entry(Path(orders.file), orders.entry).target() != orders.new:
        with psycopg.connect(orders.old, autocommit=True, connect_timeout=5) as old:
            old.execute("SET default_transaction_read_only = off")
            lift(old)
    console = Console(orders.console, orders.entry)
    console.reload()
    console.resume()
    console.close()


def _watch() -> None:
    told = json.loads(sys.stdin.readline())
    orders = Orders(**told | {"new": Target(**told["new"])})
    sys.stdout.write("watching\n")
    sys.stdout.flush()
    if sys.stdin.readline() != "done\n":
        # Nobody hears what fails here. Who comes next does the same before anything else.
        with suppress(CrossfadeError, psycopg.Error, OSError):
            let_go_on(orders)


if __name__ == "__main__":
    _watch()
