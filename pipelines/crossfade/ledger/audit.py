"""Recomputes the chain of events outside the database and names the first one that was touched."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import psycopg

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
class Tampered:
    """Where the chain breaks: the event's number and what is wrong with it."""

    seq: int
    what: str


def verify(connection: psycopg.Connection[Any]) -> tuple[int, Tampered | None]:
    """How many events the chain holds, and the first break in it, if any."""
    previous, expected = b"", 1
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        head = connection.execute("SELECT seq, hash FROM crossfade.event_head").fetchone()
        events = connection.cursor("events")
        events.execute(
            "SELECT seq, pg_catalog.to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), "
            " migration, kind, role, body::text, previous, hash FROM crossfade.event ORDER BY seq"
        )
        for seq, at, migration, kind, role, body, stored_previous, stored in events:
            if seq != expected:
                return expected - 1, Tampered(expected, "is missing")
            if stored_previous != previous:
                return expected - 1, Tampered(seq, "does not follow the one before it")
            written = _SEPARATOR.join((str(seq), at, migration, kind, role, body))
            if hashlib.sha256(previous + written.encode()).digest() != stored:
                return expected - 1, Tampered(seq, "was edited")
            previous, expected = stored, seq + 1
        if head is None or head[0] != expected - 1 or head[1] != previous:
            return expected - 1, Tampered(expected, "and later are missing at the end")
        edited = connection.execute(_EDITED_APPROVAL).fetchone()
        if edited is not None:
            return expected - 1, Tampered(edited[0], "tells of an approval that was edited")
    return expected - 1, None
