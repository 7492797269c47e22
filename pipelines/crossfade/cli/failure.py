"""Every failure in words: what, where, why, what to do; never a traceback, never a secret."""

from __future__ import annotations

import errno
import os
import re
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from crossfade.cli.terminal import err
from crossfade.errors import CrossfadeError, Position, Problem

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

INTERRUPTED = 130  # as a shell says of a program that Ctrl-C ended
UNREAD = 141  # as it says of one that SIGPIPE ended; not 0: an `up` that ends so has not done what it was asked
TOKEN_VARIABLE = "CROSSFADE_OIDC_TOKEN"  # noqa: S105 - the name of it; its value is a secret

# What writing to a file can meet that has no name here, since the shell has opened it.
_DISK = {errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG}
_IN_URL = re.compile(r"(://[^\s:/@]*):[^\s/@]+@")
_IN_KEYWORDS = re.compile(r"(password\s*=\s*)('[^']*'|\S+)", re.IGNORECASE)


def told(error: Exception) -> int | None:
    """Print an expected failure and give its exit code; None for one nobody expected."""
    match error:
        case CrossfadeError():
            print_problems(error.problems, err())
            return error.exit_code
        case OSError(errno=number) if error.filename is not None and number != errno.EPIPE:
            problem = Problem(f"{error.filename}: {error.strerror}", fix="check the path and who may read or write it")
            print_problems([problem], err())
            return 1
        case OSError(errno=number) if number in _DISK:
            print_problems([Problem(f"standard output cannot be written: {error.strerror}")], err())
            return 1
        case _ if type(error).__module__.startswith("psycopg"):
            print_problems([_of_server(error)], err())
            return 1
        case _:
            return None


def end_in_order_on_sigterm() -> None:
    """Let a supervisor's SIGTERM unwind as Ctrl-C does, so that statements on the server end with us."""
    signal.signal(signal.SIGTERM, _unwind)


def tell_interrupted() -> None:
    """After Ctrl-C: what was done stays, and the same call goes on."""
    err().print("stopped: what is done is kept; run the same command again to go on")


def tell_defect(error: Exception, root: Path | None) -> None:
    """Print one line about a failure that should not be, and keep its traceback in a file.

    root: of the project, below which the file is written; None where there is none.
    """
    folder = root / ".crossfade" if root is not None else Path(tempfile.gettempdir())
    path = folder / f"crash-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}.log"
    try:
        folder.mkdir(exist_ok=True)
        path.write_text(without_secrets("".join(_trace(error))), encoding="utf-8")
        kept = f"please report it with {_near(path)}"
    except OSError as refusal:
        kept = f"its traceback could not be written to {path}: {refusal.strerror}"
    what = without_secrets(f"{type(error).__name__}: {_message(error)}").splitlines()[0]
    err().print(f"error: this is a defect of crossfade, not of your migration: {what}; {kept}", soft_wrap=True)


def print_problems(problems: Iterable[Problem], console: Console) -> None:
    """Print each problem as `file:line:column: what`, then why and fix."""
    for problem in problems:
        console.print(_words(problem), soft_wrap=True)


def place_of(where: Position) -> str:
    """A position as one types it from the working directory."""
    return f"{_near(where.file)}:{where.line}:{where.column}"


def without_secrets(text: str) -> str:
    """The text without any password that stands in it, or in a URL of the environment, and without an OIDC token."""
    for name, value in os.environ.items():
        for secret in (value,) if name == TOKEN_VARIABLE and value else _passwords(value):
            text = text.replace(secret, "***")
    return _IN_KEYWORDS.sub(r"\1***", _IN_URL.sub(r"\1:***@", text))


def _unwind(number: int, _frame: object) -> None:
    sys.exit(128 + number)


def _words(problem: Problem) -> Text:
    from rich.text import Text

    start = f"{place_of(problem.where)}: " if problem.where else "error: "
    words = Text.assemble((start, "bold"), (problem.what, "red"))
    for name, value in (("why", problem.why), ("fix", problem.fix)):
        if value:
            words.append("\n" + _indented(f"{name}: {value}"))
    return words


def _indented(text: str) -> str:
    first, *rest = text.splitlines()
    return "\n".join([f"  {first}", *(f"    {line}" for line in rest)])


def _of_server(error: Exception) -> Problem:
    """A refusal of PostgreSQL that no room put into words."""
    import psycopg

    from crossfade.execute.errors import is_lost
    from crossfade.server_words import advice, needed_right, told

    assert isinstance(error, psycopg.Error)
    if is_lost(error):
        return Problem(
            f"the connection to the database was lost: {told(error)}",
            fix="run the same command again when the server answers: what is done is kept",
        )
    fix = advice(error)
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        fix = needed_right(error)
    return Problem(told(error), why=f"PostgreSQL refused it (SQLSTATE {error.sqlstate})", fix=fix)


def _trace(error: BaseException) -> Iterator[str]:
    """The traceback with its causes, oldest first; of an error of the server what it may say."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        yield from _trace(cause)
        yield "\nwhich led to:\n\n"
    yield from traceback.format_tb(error.__traceback__)
    yield f"{type(error).__module__}.{type(error).__qualname__}: {_message(error)}\n"


def _message(error: BaseException) -> str:
    if not type(error).__module__.startswith("psycopg"):
        return str(error)
    import psycopg

    from crossfade.server_words import told

    return told(error) if isinstance(error, psycopg.Error) else str(error)


def _near(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _passwords(value: str) -> Iterator[str]:
    if "://" not in value:
        return
    try:
        password = urlsplit(value).password
    except ValueError:
        return
    if password:
        yield from {password, unquote(password)}
