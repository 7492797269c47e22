"""What is written where: results to standard output, all else to standard error; plain where no terminal is."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_WIDTH_OF_FILES = 160  # characters; in a log or a pipe nothing is gained by folding at 80


def out() -> Console:
    """Standard output."""
    return _console(stderr=False)


def err() -> Console:
    """Standard error."""
    return _console(stderr=True)


def leave_closed_pipe() -> None:
    """Let what is still to be flushed go nowhere, since nobody reads it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(nowhere, stream.fileno())


def is_conversation() -> bool:
    """A person sits there: questions can be asked and answered."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def ask(question: str) -> bool:
    """Ask a yes-or-no question, where `no` is the answer of a mere Enter."""
    import typer

    try:
        return typer.confirm(question, default=False)
    except typer.Abort:  # its word for Ctrl-C, which is told and ends the same everywhere
        raise KeyboardInterrupt from None


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    class Output(Console):
        def on_broken_pipe(self) -> None:
            """As everything else that meets a closed pipe; rich would end the program here, and as failed."""
            raise BrokenPipeError

    # Names, SQL and messages of the server are no markup, and numbers in them need no colours.
    console = Output(stderr=stderr, markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = _WIDTH_OF_FILES
    return console
