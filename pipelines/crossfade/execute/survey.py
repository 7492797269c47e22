"""Which migrations the ledgers have as complete, asked of all databases at once and within a time limit."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import datetime

import psycopg

from crossfade.errors import CrossfadeError
from crossfade.execute.session import reading
from crossfade.ledger import Ledger, is_installed
from crossfade.spec import Database

_AT_ONCE = 8  # databases


def read_completed(databases: Mapping[str, Database], *, within: float) -> dict[str, dict[str, datetime]]:
    """By database, each complete migration with when it was; without the databases that do not answer.

    within: seconds for all of them together; one that is silent is not waited for.
    """
    pool = ThreadPoolExecutor(_AT_ONCE)
    asked = {name: pool.submit(_read, database) for name, database in databases.items()}
    answered, _ = wait(asked.values(), within)
    pool.shutdown(wait=False, cancel_futures=True)
    found = {name: future.result() for name, future in asked.items() if future in answered}
    return {name: completed for name, completed in found.items() if completed is not None}


def _read(database: Database) -> dict[str, datetime] | None:
    try:
        with reading(database, "crossfade history") as connection:
            return Ledger(connection).completed() if is_installed(connection) else {}
    except (CrossfadeError, psycopg.Error):
        return None
