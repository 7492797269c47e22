"""What the server said when a gate could not be asked, without the values of rows."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import psycopg
from psycopg import errors

from crossfade.gates._gate import GateError

# Of these classes of SQLSTATE the message names objects, settings and sessions. Others quote what a row holds
# (`invalid input syntax for type integer: "..."`), or are a function's own words.
_TOLD = {"08", "0A", "25", "28", "3D", "3F", "40", "42", "53", "54", "55", "57", "58"}


@contextmanager
def asking(question: str) -> Generator[None]:
    """Turn an error of the database into a GateError that begins with `question`, e.g. `sql no_nulls`."""
    try:
        yield
    except psycopg.Error as error:
        # Not as its cause: a traceback would print DETAIL and the statement.
        raise GateError(
            f"{question}: {said(error.sqlstate, error.diag.message_primary)}",
            why="nothing was learnt, so the gate neither holds nor fails; it is asked again",
        ) from None


def said(sqlstate: str | None, message: str | None, *, rows_were_read: bool = True) -> str:
    """The error in words: its message where that cannot hold a row's values, else its name alone."""
    if sqlstate is None:
        return "the database cannot be reached, or the connection to it was lost"
    if message and (sqlstate[:2] in _TOLD or not rows_were_read):
        return f"{message.splitlines()[0]} (SQLSTATE {sqlstate})"
    try:
        name = errors.lookup(sqlstate).__name__
    except KeyError:
        name = "an error"
    return f"{name} (SQLSTATE {sqlstate}; its text may hold values of rows and is left out)"
