"""What an error of PostgreSQL may say: its message where that names objects, else the condition's name alone.

The one way by which a server's words reach a terminal, an event, Dagster or a file. DETAIL and CONTEXT never do: they
show rows and statements.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import psycopg
from psycopg import errors, sql

from crossfade.steps.conflicts import BOTH_WRITTEN, ENDLESS, NOT_FILLED

# Of these classes of SQLSTATE the server's message names objects, settings and sessions. Others quote what a row holds
# (`invalid input syntax for type integer: "..."`), or may do so in some version or extension.
_TOLD = {"08", "0A", "21", "25", "28", "2B", "3D", "3F", "40", "42", "53", "54", "55", "57", "58"}
_OF_MISSING_NAMES = {"3D", "3F", "42"}
# What the server's message says -> what grants it.
_RIGHTS = {
    r"^permission denied for schema (.+)$": "GRANT USAGE, CREATE ON SCHEMA {}",
    r"^permission denied for database (.+)$": "GRANT CREATE ON DATABASE {}",
    r'^permission denied to set parameter "(.+)"$': "GRANT SET ON PARAMETER {} (PostgreSQL 15 and later)",
    r"^permission denied for (?:table|view|relation) (.+)$": "GRANT ALL ON TABLE {}",
    r"^permission denied for sequence (.+)$": "GRANT ALL ON SEQUENCE {}",
    r"^permission denied for function (.+)$": "GRANT EXECUTE ON FUNCTION {}",
}
_RIGHTS_TO_READ = _RIGHTS | {
    r"^permission denied for schema (.+)$": "GRANT USAGE ON SCHEMA {}",
    r"^permission denied for (?:table|view|relation) (.+)$": "GRANT SELECT ON {}",
}
_LEFT_OUT = "its text may hold values of rows and is left out; the server's log has it"


def told(error: psycopg.Error) -> str:
    """The error in one line."""
    if error.sqlstate is None:
        return _told_by_client(error)
    raised = _may_be_made_of_values(error)
    named = error.diag.constraint_name if error.sqlstate[:2] == "23" and not raised else None
    return told_of(error.sqlstate, None if raised else error.diag.message_primary, constraint=named)


def told_of(sqlstate: str, message: str | None, *, constraint: str | None = None, rows_were_read: bool = True) -> str:
    """The same of an error's parts. rows_were_read: the statement could meet values of rows at all."""
    if message and (sqlstate[:2] in _TOLD or not rows_were_read):
        return message.splitlines()[0]
    named = f"constraint {constraint}; " if constraint else ""
    return f"{condition(sqlstate)} ({named}{_LEFT_OUT})"


def advice(error: psycopg.Error) -> str | None:
    """The server's hint; None where it may hold values as the message may."""
    if error.sqlstate is None or error.sqlstate[:2] not in _TOLD or _may_be_made_of_values(error):
        return None
    hint = error.diag.message_hint
    if hint is not None and "CASCADE" in hint:  # it would drop what nobody has looked at
        return "drop or change first what depends on it"
    return hint


def needed_right(error: errors.InsufficientPrivilege, role: str = "the role that runs migrations") -> str:
    """The GRANT that the role lacks, as far as the server says what it is about. role: as SQL, where it is known."""
    message = error.diag.message_primary or ""
    if owned := re.search(r"^must be owner of (.+)$", message):
        return f"make {role} the owner of {owned[1]}, or a member of the role that is"
    return _grant(message, _RIGHTS, role)


def right_to_read(error: errors.InsufficientPrivilege, role: str) -> str:
    """The same for a role that only reads."""
    return _grant(error.diag.message_primary or "", _RIGHTS_TO_READ, sql.Identifier(role).as_string(None))


def _grant(message: str, rights: Mapping[str, str], role: str) -> str:
    for pattern, grant in rights.items():
        if found := re.search(pattern, message):
            named = sql.Identifier(*found.groups()).as_string(None) if found.groups() else ""
            return f"{grant.format(named)} TO {role}"
    return f"the owner of what it names must GRANT it to {role}"


def condition(sqlstate: str) -> str:
    """PostgreSQL's own name of the condition, e.g. `invalid text representation`."""
    if sqlstate == BOTH_WRITTEN:
        return "one statement wrote both sides, and they disagree"
    if sqlstate == ENDLESS:
        return "triggers of both tables go on changing what the other one has set"
    if sqlstate == NOT_FILLED:
        return "the row that it refers to has no new key yet"
    try:
        name = errors.lookup(sqlstate).__name__
    except KeyError:
        return f"SQLSTATE {sqlstate}"
    return "".join(f" {char.lower()}" if char.isupper() else char for char in name).strip()


def _may_be_made_of_values(error: psycopg.Error) -> bool:
    # RAISE takes any SQLSTATE and any text, a row's values too; EXECUTE may take a value for a name that is missing.
    if error.diag.source_function == "exec_stmt_raise":
        return True
    return error.diag.context is not None and (error.sqlstate or "")[:2] in _OF_MISSING_NAMES


def _told_by_client(error: psycopg.Error) -> str:
    """libpq tells of the connection. psycopg's other errors may quote the value it could not convert."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0] if isinstance(error, psycopg.OperationalError) and lines else type(error).__name__
