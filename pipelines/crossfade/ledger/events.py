"""The chain of events: everything that is written to a ledger tells of itself here, in the same transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, LiteralString

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from crossfade.ledger.records import EventRecord

_PAGE = 1000


class Events:
    """Of the ledger behind `connection`."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection

    def event(self, migration: str, kind: str, body: Mapping[str, Any]) -> None:
        """Append to the chain, in the caller's transaction."""
        self.connection.execute("SELECT crossfade.append_event(%s, %s, %s)", (migration, kind, Jsonb(dict(body))))

    def events(self, migration: str | None = None) -> Iterator[EventRecord]:
        """Oldest first, a page at a time: however many there are, few are in memory."""
        after = 0
        while page := self._page("seq > %(edge)s", "ORDER BY seq", migration, after, _PAGE):
            yield from page
            after = page[-1].seq

    def newest_events(self, count: int, migration: str | None = None) -> Iterator[EventRecord]:
        """The last `count` of them, oldest first."""
        newest = self._page("seq <= %(edge)s", "ORDER BY seq DESC", migration, 2**62, count)
        yield from reversed(newest)

    def _page(
        self, bound: LiteralString, order: LiteralString, migration: str | None, edge: int, limit: int
    ) -> list[EventRecord]:
        of = "" if migration is None else " AND migration = %(of)s"
        with self.connection.cursor(row_factory=class_row(EventRecord)) as cursor:
            return cursor.execute(
                "SELECT seq, at, migration, kind, role, body FROM crossfade.event"
                f" WHERE {bound}{of} {order} LIMIT %(limit)s",
                {"of": migration, "edge": edge, "limit": limit},
            ).fetchall()
