"""Who a fleet's members were when a migration last went on: an event in the canary's ledger, to name who came and went.

It decides nothing. Which databases are members is asked anew each time, and where each stands its own ledger tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import psycopg

from crossfade.errors import CrossfadeError
from crossfade.execute.ledgers import writable_ledger
from crossfade.ledger import is_installed
from crossfade.spec import Member

_KIND = "members of the fleet"
_LATEST = """
SELECT body -> 'members'::text FROM crossfade.event
 WHERE migration = %s AND kind = %s ORDER BY seq DESC LIMIT 1"""


@dataclass(frozen=True)
class Roster:
    """joined, vanished: since the migration last went on."""

    joined: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()

    def __or__(self, other: Roster) -> Roster:
        return Roster((*self.joined, *other.joined), (*self.vanished, *other.vanished))


def note_roster(canary: Member, migration: str, members: Sequence[str]) -> Roster:
    """Write down who the members are, where that has changed; gives how."""
    with suppress(CrossfadeError, psycopg.Error), writable_ledger(canary.database, "crossfade fleet") as ledger:
        if not is_installed(ledger.connection):
            return Roster()
        row = ledger.connection.execute(_LATEST, (migration, _KIND)).fetchone()
        before: list[str] = row[0] if row is not None else []
        if before == list(members):
            return Roster()
        ledger.event(migration, _KIND, {"members": list(members)})
        if row is not None:
            return Roster(
                tuple(name for name in members if name not in before),
                tuple(name for name in before if name not in members),
            )
    return Roster()
