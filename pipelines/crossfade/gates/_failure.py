"""What the server said when a gate could not be asked, without the values of rows."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from crossfade.gates._gate import GateError, GateUnanswered

# Classes of SQLSTATE that are about the moment: connection, conflict with others, resources, state, operator, system.
_OF_THE_MOMENT = {"08", "40", "53", "55", "57", "58"}
_CANCELED = "57014"  # after minutes, by its timeout or by a person: the next try would take as long


def is_of_the_moment(sqlstate: str | None) -> bool:
    """The server may answer in a while; `sqlstate` is None when the connection was lost."""
    return sqlstate is None or (sqlstate[:2] in _OF_THE_MOMENT and sqlstate != _CANCELED)


def unasked(what: str, sqlstate: str | None) -> GateError:
    """The question could not be asked; `sqlstate` is None when the connection was lost."""
    if is_of_the_moment(sqlstate):
        return GateUnanswered(
            what,
            why="nothing was learnt, so the gate neither holds nor fails",
            fix="run `crossfade up` again when the database answers",
            sqlstate=sqlstate,
        )
    assert sqlstate is not None
    return GateError(
        what,
        why="nothing was learnt, so the gate neither holds nor fails; asked again it would end the same way",
        fix=_FIXES.get(sqlstate, "correct what the gate asks, or make what it names; then run `crossfade up` again"),
        sqlstate=sqlstate,
    )


_FIXES = {
    _CANCELED: "make what the gate asks faster, with an index or fewer rows; then run `crossfade up` again",
    "42501": "GRANT SELECT on what the gate reads to the role that runs migrations",
}


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
        raise unasked(f"{question}: {told(error)}{state}", error.sqlstate) from None
