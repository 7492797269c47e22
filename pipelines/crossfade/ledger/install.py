"""Makes the ledger's schema, or brings it to the current version; one transaction, safe for two at once.

An upgrade only adds: tables, columns that may be left out of an INSERT, functions. A runner of the version before goes
on working while it holds its lease, and whoever only looks, with either version, reads what both know.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import errors, sql

from crossfade.errors import CrossfadeError
from crossfade.spec.fragment import trusted

# "crossfade" in ASCII cut to 63 bits: one key for all who install, whatever the database.
_INSTALL_LOCK = 0x63726F7373666164
_LOCK_TIMEOUT, _ATTEMPTS, _BETWEEN = "1s", 10, 0.5  # seconds; half a minute in all


@dataclass(frozen=True)
class Shape:
    """What a new ledger is made of, and what each later version than the first adds to an older one."""

    schema: str
    upgrades: Mapping[int, str]

    @property
    def version(self) -> int:
        return max(self.upgrades, default=self.oldest)

    @property
    def oldest(self) -> int:
        """The oldest version that can be upgraded."""
        return min(self.upgrades, default=2) - 1

    @classmethod
    def read(cls, directory: Path) -> Shape:
        """schema.sql, and upgrades/0002.sql and on; without a gap."""
        upgrades = {int(path.stem): path.read_text() for path in sorted(directory.glob("upgrades/*.sql"))}
        assert list(upgrades) == list(range(2, len(upgrades) + 2)), "versions follow one another"
        return cls((directory / "schema.sql").read_text(), upgrades)


SHAPE = Shape.read(Path(__file__).parent)


class LedgerError(CrossfadeError):
    """The ledger cannot be made, read or written."""

    @classmethod
    def unwritable(cls, role: str, database: str) -> LedgerError:
        """The role lacks the right to write the ledger's tables in the database of that name."""
        return cls(
            f"role {role} may not write the ledger in database `{database}`",
            why="every run, pause and approval is kept there",
            fix=f"GRANT ALL ON ALL TABLES IN SCHEMA crossfade TO {sql.Identifier(role).as_string()}",
        )


def is_installed(connection: psycopg.Connection[Any]) -> bool:
    """The ledger exists here."""
    # Not to_regclass, which goes on saying no from its cache after another session, waited for, has made it.
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE n.nspname = 'crossfade' AND c.relname = 'migration')"
    ).fetchone()
    return bool(row and row[0])


def install(connection: psycopg.Connection[Any], shape: Shape = SHAPE) -> None:
    """Create the ledger where it is missing, bring it to the current version where it is older.

    connection: in autocommit, as the role that runs migrations. Of two at once, the other finds it done.
    Raises LedgerError when the role may not, when a newer crossfade made it, or when its tables stay locked.
    """
    try:
        if _version(connection) == shape.version:
            return
        for attempt in range(_ATTEMPTS):
            with suppress(errors.LockNotAvailable):
                _bring(connection, shape)
                return
            time.sleep(_BETWEEN * (attempt + 1))
    except errors.InsufficientPrivilege as error:
        raise _no_permission(connection) from error
    raise LedgerError(
        f"the ledger of database {connection.info.dbname} could not be upgraded to version {shape.version}",
        why="its tables are in use: by a long transaction of a runner, or of an application with rows in conflict",
        fix="run `crossfade up` again when that is over; `crossfade status` shows who works",
    )


def require_current(connection: psycopg.Connection[Any], shape: Shape = SHAPE) -> None:
    """Raises LedgerError unless the ledger, which exists, has the version that this crossfade writes."""
    if (found := _version(connection)) != shape.version:
        raise _other_version(connection, found, shape)


def _bring(connection: psycopg.Connection[Any], shape: Shape) -> None:
    """One transaction from whatever there is to the current version."""
    with connection.transaction():
        # Applications note conflicts in these tables: they must not queue up behind us.
        connection.execute("SELECT pg_catalog.set_config('lock_timeout', %s, true)", (_LOCK_TIMEOUT,))
        connection.execute("SELECT pg_catalog.pg_advisory_xact_lock(%s)", (_INSTALL_LOCK,))
        found = _version(connection)
        if found is None:
            connection.execute(trusted(shape.schema))
            passed = [shape.version]
        else:
            if not shape.oldest <= found <= shape.version:
                raise _other_version(connection, found, shape)
            passed = list(range(found + 1, shape.version + 1))
            for version in passed:
                connection.execute(trusted(shape.upgrades[version]))
        for version in passed:
            connection.execute("INSERT INTO crossfade.version (version) VALUES (%s)", (version,))


def _version(connection: psycopg.Connection[Any]) -> int | None:
    """The version of the ledger here; None where there is none."""
    if not is_installed(connection):
        return None
    row = connection.execute("SELECT pg_catalog.max(version) FROM crossfade.version").fetchone()
    return int(row[0] or 0) if row else 0


def _other_version(connection: psycopg.Connection[Any], found: int | None, shape: Shape) -> LedgerError:
    older = found is not None and shape.oldest <= found < shape.version
    return LedgerError(
        f"the ledger of database {connection.info.dbname} has version {found}, this crossfade writes {shape.version}",
        fix="`crossfade up` upgrades it" if older else "use the crossfade version that made it, or a newer one",
    )


def _no_permission(connection: psycopg.Connection[Any]) -> LedgerError:
    row = connection.execute("SELECT current_user, pg_catalog.current_database()").fetchone()
    assert row is not None
    role, database = (sql.Identifier(name).as_string(connection) for name in row)
    exists = connection.execute("SELECT pg_catalog.to_regnamespace('crossfade') IS NOT NULL").fetchone()
    grant = (
        f"GRANT ALL ON SCHEMA crossfade TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA crossfade TO {role}"
        if exists and exists[0]
        else f"GRANT CREATE ON DATABASE {database} TO {role}"
    )
    return LedgerError(
        f"role {role} may not {'use' if exists and exists[0] else 'create'} the ledger in database {database}",
        why="crossfade keeps its progress in a schema of its own, so that every run can be resumed",
        fix=grant,
    )
