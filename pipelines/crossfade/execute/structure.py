"""Keeps in the ledger what the schema is by what migrations make of it, so that all else that changes is drift.

A run notes what differs before its first step, and takes what it has made into the ledger when it ends. It never fails
of that: what cannot be looked at now, because a table is locked, say, a next run or `crossfade drift` takes in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from crossfade.catalog import CatalogLocked, Name
from crossfade.catalog.drift import changed, settled
from crossfade.catalog.snapshot import read_catalog, read_fingerprint
from crossfade.catalog.structure import Structure, Thing, digest_of, parsed, structure_of, written
from crossfade.execute.errors import is_lost
from crossfade.execute.session import limit
from crossfade.execute.site import Site
from crossfade.ledger import LeaseLost, Ledger, StructureRecord, lease
from crossfade.plan import Plan
from crossfade.plan.making import may_make

_ATTEMPTS = 3  # another run may have ended in between
_LOCK_TIMEOUT = 2.0  # seconds


@dataclass(frozen=True)
class Look:
    """The schema as it is, beside what it is expected to be.

    record: None before anything is kept; then nothing is expected. unread: tables that are locked, and by whom; they
    are taken to be as expected. fingerprint: of the catalog before it was read; empty where it was not read whole.
    """

    record: StructureRecord | None
    expected: Structure
    now: Structure
    fingerprint: str
    unread: Mapping[Name, str]

    @property
    def seen(self) -> str:
        """What differs, as the ledger keeps it."""
        return written(changed(self.expected, self.now))


def look(connection: psycopg.Connection[Any], *, afresh: bool = True) -> Look:
    """Read what is kept and the catalog. afresh: also where nothing has changed since it was last read.

    Raises CatalogLocked.
    """
    ledger, fingerprint = Ledger(connection), read_fingerprint(connection)
    record = ledger.structure()
    expected = _there(parsed(ledger.structure_body()))
    if record is not None and record.fingerprint == fingerprint and not afresh:
        return Look(record, expected, _there({**expected, **parsed(record.seen)}), fingerprint, {})
    catalog = read_catalog(connection)
    now = structure_of(catalog, own=False)
    if catalog.locked:
        unread = {str(name) for name in catalog.locked}
        now = {key: thing for key, thing in now.items() if not {key.object, thing.within} & unread}
        now |= {key: thing for key, thing in expected.items() if {key.object, thing.within} & unread}
        fingerprint = ""
    return Look(record, expected, now, fingerprint, catalog.locked)


def note_beginning(site: Site, plan: Plan) -> None:
    """Before the first step of a run: what differs now is not of its making. Raises psycopg's error of a lost session.

    What a run that died has made is noted as it began.
    """
    ledger = site.ledger
    try:
        if plan.migration in ledger.at_work():
            return
        record = ledger.structure()
        fingerprint = read_fingerprint(site.work)
        if record is not None and record.fingerprint == fingerprint:
            _begin(site, record.seen)
            return
        try:
            looked = look(site.work)
        except CatalogLocked:
            _begin(site, record.seen if record is not None else "[]")
            return
        if record is None:
            _keep_first(site, looked)
        _begin(site, looked.seen if record is not None else "[]", looked.fingerprint)
    except psycopg.Error as error:
        if is_lost(error):
            raise


def note_end(site: Site, plan: Plan) -> None:
    """When a run ends, however it does: what it has made is what is expected."""

    def is_ours() -> bool:
        lease.fence(site.work, site.lease)
        return True

    try:
        take_in(site.work, plan, site.name, is_ours)
    except (psycopg.Error, CatalogLocked, LeaseLost):
        return  # the note stays, and a next look takes in what is named there


def take_in(connection: psycopg.Connection[Any], plan: Plan, database: str, may: Callable[[], bool]) -> None:
    """Expect what the migration has made since it began to work, and end its work.

    may: asked in the transaction that writes; false leaves all as it is. Raises CatalogLocked.
    """
    ledger = Ledger(connection)
    for _ in range(_ATTEMPTS):
        began = ledger.at_work().get(plan.migration)
        if began is None:
            return
        looked = look(connection, afresh=False)
        if looked.unread:
            return
        wanted = looked.expected
        if changed(looked.expected, looked.now):
            made = may_make(plan, database, looked.expected, looked.now)
            wanted = settled(looked.expected, parsed(began), looked.now, made)
        body, seen = written(wanted), written(changed(wanted, looked.now))
        with connection.transaction():
            limit(connection, lock_timeout=_LOCK_TIMEOUT)
            if not may():
                return
            record = ledger.lock_structure()
            if record is not None and looked.record is not None:
                if record.digest != looked.record.digest:
                    continue
                if wanted == looked.expected:
                    ledger.structure_seen(seen, fingerprint=looked.fingerprint)
                else:
                    ledger.keep_structure(body, digest_of(wanted), seen=seen, fingerprint=looked.fingerprint)
            ledger.end_work(plan.migration)
            return


def _begin(site: Site, found: str, fingerprint: str | None = None) -> None:
    """found: what differs, which is kept as seen where the catalog was read for it."""
    with site.work.transaction():
        limit(site.work, lock_timeout=_LOCK_TIMEOUT)
        lease.fence(site.work, site.lease)
        site.ledger.begin_work(site.migration, found)
        if fingerprint is not None:
            site.ledger.structure_seen(found, fingerprint=fingerprint)


def _keep_first(site: Site, looked: Look) -> None:
    with site.work.transaction():
        limit(site.work, lock_timeout=_LOCK_TIMEOUT)
        lease.fence(site.work, site.lease)
        site.ledger.keep_structure(
            written(looked.now), digest_of(looked.now), seen="[]", fingerprint=looked.fingerprint
        )


def _there(things: Mapping[Any, Thing | None]) -> dict[Any, Thing]:
    return {key: thing for key, thing in things.items() if thing is not None}
