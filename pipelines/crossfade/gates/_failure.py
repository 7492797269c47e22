"""What the server said when a gate could not be asked, without the values of rows."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from crossfade.gates._gate import GateError


@contextmanager
def asking(question: str) -> Generator[None]:
    """Turn an error of the database into a GateError that begins with `question`, e.g. `sql no_nulls`."""
    # Here, because the driver takes a fifth of a second, and a gate that is only read needs none.
    import psycopg

    from crossfade.server_words import told

    try:
        yield
    except psycopg.Error as error:
        # Not as its cause: a traceback would print DETAIL and the statement.
        state = f" (SQLSTATE {error.sqlstate})" if error.sqlstate else ""
        raise GateError(
            f"{question}: {told(error)}{state}",
            why="nothing was learnt, so the gate neither holds nor fails; it is asked again",
            sqlstate=error.sqlstate,
        ) from None
