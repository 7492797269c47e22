"""Recomputes the chain of events outside the database and names the first one that was touched."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import class_row

from crossfade.ledger.approvals import TOLD

_SEPARATOR = "\x1f"
# An approval is no event until a gate was asked; from then on it must be what its event says.
_EDITED_APPROVAL = f"""
SELECT a.event
  FROM crossfade.approval AS a LEFT JOIN crossfade.event AS e ON e.seq = a.event
 WHERE a.event IS NOT NULL
   AND (e.kind IN ('approved', 'override approved', 'approval refused')
        AND (e.migration, e.body) IS NOT DISTINCT FROM (a.migration, {TOLD})) IS NOT TRUE
 ORDER BY a.event LIMIT 1"""


@dataclass(frozen=True)
class Link:
    """An event as it is chained.

    at: in UTC, to the microsecond. body: JSON, to the letter. previous, hash: SHA-256; of the first event, nothing is
    before it.
    """

    seq: int
    at: str
    migration: str
    kind: str
    role: str
    body: str
    previous: bytes
    hash: bytes

    @property
    def is_whole(self) -> bool:
        """Its hash is that of what it says and of what was before it."""
        written = _SEPARATOR.join((str(self.seq), self.at, self.migration, self.kind, self.role, self.body))
        return hashlib.sha256(self.previous + written.encode()).digest() == self.hash


@dataclass(frozen=True)
class Tampered:
    """Where the chain breaks: the event's number and what is wrong with it."""

    seq: int
    what: str


def verify(connection: psycopg.Connection[Any]) -> tuple[int, Tampered | None]:
    """How many events the chain holds, and the first break in it, if any."""
    with _at_one_moment(connection):
        head = connection.execute("SELECT seq, hash FROM crossfade.event_head").fetchone()
        last, tampered = follow(_links(connection))
        count = last.seq if last is not None else 0
        if tampered is not None:
            return count, tampered
        if head is None or head != ((last.seq, last.hash) if last is not None else (0, b"")):
            return count, Tampered(count + 1, "and later are missing at the end")
        edited = connection.execute(_EDITED_APPROVAL).fetchone()
    return count, Tampered(edited[0], "tells of an approval that was edited") if edited is not None else None


def export(connection: psycopg.Connection[Any]) -> Iterator[Link]:
    """The whole chain, oldest first, as it is at one moment."""
    with _at_one_moment(connection):
        yield from _links(connection)


def follow(links: Iterable[Link]) -> tuple[Link | None, Tampered | None]:
    """The last link up to which a chain from its beginning is sound, and what is wrong with the one after it."""
    last: Link | None = None
    for link in links:
        expected = last.seq + 1 if last is not None else 1
        if link.seq != expected:
            return last, Tampered(expected, "is missing")
        if link.previous != (last.hash if last is not None else b""):
            return last, Tampered(link.seq, "does not follow the one before it")
        if not link.is_whole:
            return last, Tampered(link.seq, "was edited")
        last = link
    return last, None


def still_holds(connection: psycopg.Connection[Any], link: Link) -> bool:
    """The chain has this very link, and so all before it."""
    query = "SELECT hash = %s FROM crossfade.event WHERE seq = %s"
    row = connection.execute(query, (link.hash, link.seq)).fetchone()
    return row is not None and row[0]


@contextmanager
def _at_one_moment(connection: psycopg.Connection[Any]) -> Generator[None]:
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def _links(connection: psycopg.Connection[Any]) -> Iterator[Link]:
    with connection.cursor("events", row_factory=class_row(Link)) as events:
        yield from events.execute(
            "SELECT seq, pg_catalog.to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS at,"
            " migration, kind, role, body::text, previous, hash FROM crossfade.event ORDER BY seq"
        )
