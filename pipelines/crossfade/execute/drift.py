"""What of a database's schema no migration has made: found, and accepted by a person who says why."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg

from crossfade.catalog import CatalogLocked
from crossfade.catalog.drift import Difference, changed, differences
from crossfade.catalog.structure import Key, Structure, digest_of, parsed, written
from crossfade.execute.errors import Blocked
from crossfade.execute.frozen import thaw
from crossfade.execute.ledgers import readable_ledger, writable_ledger
from crossfade.execute.session import open_session, reading
from crossfade.execute.structure import Look, look, take_in
from crossfade.ledger import Ledger, LedgerError, is_installed
from crossfade.plan.making import may_make
from crossfade.spec import Database

_APPLICATION = "crossfade drift"
_OF_NO_MIGRATION = "-"  # in the events, where the id of a migration stands


@dataclass(frozen=True)
class Drift:
    """How a database differs from what migrations have made and people have accepted.

    since: when that last changed; None where nothing is kept yet, and nothing is known. at_work: migrations that work
    on the schema, each with how many differences may be of their making; these are not told. unread: tables that were
    locked, each with who held them. printed_by: the version of the server whose words the others are compared with,
    where it was another one.
    """

    database: str
    since: datetime | None = None
    differences: tuple[Difference, ...] = ()
    at_work: Mapping[str, int] = field(default_factory=dict[str, int])
    unread: Mapping[str, str] = field(default_factory=dict[str, str])
    printed_by: int | None = None


def read_drift(database: Database) -> Drift:
    """Compare the schema with what is kept in the ledger.

    It writes one thing only: what a run that died had made is taken into the ledger, where its role may.
    Raises DatabaseUnreachable and its kin, CatalogLocked.
    """
    with reading(database, _APPLICATION) as connection:
        if not is_installed(connection):
            return Drift(database.name)
        if readable_ledger(connection).at_work():
            _take_in_abandoned(database)
        looked = look(connection)
        return _drift(database.name, looked, _by_migrations(connection, looked, database.name))


def accept_drift(database: Database, because: str) -> Drift:
    """Expect from now on what is there, but for what migrations at work may have made; with an event that tells all.

    Gives what was accepted. Raises Blocked where a migration ended meanwhile, LedgerError where the role may not.
    """
    with reading(database, _APPLICATION) as connection:
        if not is_installed(connection):
            raise LedgerError(
                f"nothing is known of database `{database.name}`",
                why="what its schema should be is kept in the ledger, which is not there yet",
                fix="the first migration that runs there makes it",
            )
    with writable_ledger(database, _APPLICATION) as ledger:
        looked = look(ledger.connection)
        others = _by_migrations(ledger.connection, looked, database.name)
        drift = _drift(database.name, looked, others)
        wanted = _as_if_not_at_work(looked, others)
        body, seen = written(wanted), written(changed(wanted, looked.now))
        told = {"because": because, "differences": [str(each) for each in drift.differences]}
        with ledger.connection.transaction():
            record = ledger.lock_structure()
            if (record and record.digest) != (looked.record and looked.record.digest):
                raise Blocked(
                    f"a migration of database `{database.name}` ended just now",
                    why="it changed what is expected while the catalog was read",
                    fix="look at what differs again, then accept it",
                )
            ledger.keep_structure(body, digest := digest_of(wanted), seen=seen, fingerprint=looked.fingerprint)
            ledger.event(_OF_NO_MIGRATION, "drift accepted", told | {"digest": digest})
        return drift


def _drift(database: str, looked: Look, others: Mapping[str, frozenset[Key]]) -> Drift:
    if looked.record is None:
        return Drift(database)
    major = looked.record.server_version // 10000
    is_other = not looked.fingerprint.startswith(str(major)) if looked.fingerprint else False
    every = differences(looked.expected, looked.now)
    hidden = frozenset[Key]().union(*others.values())
    told = differences(looked.expected, _as_if_not_at_work(looked, others))
    return Drift(
        database,
        since=looked.record.kept_at,
        differences=tuple(each for each in told if each.key not in hidden),
        at_work={name: sum(each.key in keys for each in every) for name, keys in others.items()},
        unread={str(name): holders for name, holders in looked.unread.items()},
        printed_by=major if is_other else None,
    )


def _by_migrations(connection: psycopg.Connection[Any], looked: Look, database: str) -> dict[str, frozenset[Key]]:
    """What each migration at work may have changed since it began."""
    ledger = Ledger(connection)
    found: dict[str, frozenset[Key]] = {}
    for name, began in ledger.at_work().items():
        record, before = ledger.migration(name), parsed(began)
        assert record is not None  # a foreign key says so
        made = may_make(thaw(record), database, looked.expected, looked.now)
        found[name] = frozenset(
            key
            for key, thing in changed(looked.expected, looked.now).items()
            if made(key) and not (key in before and before[key] == thing)
        )
    return found


def _as_if_not_at_work(looked: Look, others: Mapping[str, frozenset[Key]]) -> Structure:
    """The schema now, but what migrations at work may have changed as it is expected."""
    hidden = frozenset[Key]().union(*others.values())
    now = {key: thing for key, thing in looked.now.items() if key not in hidden}
    return now | {key: thing for key, thing in looked.expected.items() if key in hidden}


def _take_in_abandoned(database: Database) -> None:
    """What runs have made that died, or could not look when they ended."""
    with suppress(psycopg.Error, CatalogLocked), closing(open_session(database, _APPLICATION)) as connection:
        ledger = Ledger(connection)
        for name in ledger.at_work():
            record = ledger.migration(name)
            assert record is not None
            take_in(connection, thaw(record), database.name, lambda name=name: ledger.lock_abandoned(name))
