"""What the ledgers say at a glance, asked of all databases at once and within a time limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime

import psycopg

from crossfade.errors import CrossfadeError
from crossfade.execute.session import reading
from crossfade.ledger import Ledger, MigrationRecord, is_installed
from crossfade.spec import Database

_AT_ONCE = 8  # databases


@dataclass(frozen=True)
class Survey:
    """Of one ledger. completed: each complete migration, with when it was. in_work: of the others, the latest."""

    completed: Mapping[str, datetime]
    in_work: Sequence[MigrationRecord]


def survey(databases: Mapping[str, Database], *, latest: int, within: float) -> dict[str, Survey]:
    """By database; without the databases that do not answer.

    latest: how many migrations in work are read with their plans, of each database. within: seconds for all of them
    together; one that is silent is not waited for.
    """
    pool = ThreadPoolExecutor(_AT_ONCE)
    asked = {name: pool.submit(_read, database, latest) for name, database in databases.items()}
    answered, _ = wait(asked.values(), within)
    pool.shutdown(wait=False, cancel_futures=True)
    found = {name: future.result() for name, future in asked.items() if future in answered}
    return {name: surveyed for name, surveyed in found.items() if surveyed is not None}


def _read(database: Database, latest: int) -> Survey | None:
    try:
        with reading(database, "crossfade survey") as connection:
            if not is_installed(connection):
                return Survey({}, ())
            ledger = Ledger(connection)
            return Survey(ledger.completed(), ledger.in_work(latest))
    except (CrossfadeError, psycopg.Error):
        return None
