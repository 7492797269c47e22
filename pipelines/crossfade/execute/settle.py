"""Conflicts settled: their rows tried again, and those counted no more that were mended or are gone."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import psycopg
from psycopg import errors

from crossfade.execute.site import Site
from crossfade.spec.fragment import trusted
from crossfade.steps.step import Check, Walk

_AT_ONCE = 100  # rows


def settle(site: Site, step: Check | Walk, connection: psycopg.Connection[Any] | None = None) -> None:
    """Where conflicts are open. What somebody holds is not waited for: it stays in conflict, and the counts say so.

    connection: one of the site's sessions, for a thread that must not use the common one.
    """
    if not step.settle or not site.ledger.count_conflicts(site.migration, most=1):
        return
    for each in step.settle:
        if isinstance(each, str):
            _run(site, step, connection, each)
            continue
        found = [row[0] for row in (connection or site.work).execute(trusted(each.find)).fetchall()]
        for first in range(0, len(found), _AT_ONCE):
            _run(site, step, connection, each.each, found[first : first + _AT_ONCE])


def _run(
    site: Site, step: Check | Walk, connection: psycopg.Connection[Any] | None, statement: str, *given: list[str]
) -> None:
    with suppress(errors.LockNotAvailable), site.transaction(connection) as work:
        site.limit_lock_waits(work)
        if step.silent:
            work.execute("SELECT pg_catalog.set_config('session_replication_role', 'replica', true)")
        psycopg.RawCursor(work).execute(trusted(statement), given or None)
