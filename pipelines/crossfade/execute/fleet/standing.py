"""Where each member of a fleet stands with a migration: one session and one query each, a few at a time."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from crossfade.errors import CrossfadeError
from crossfade.execute.session import reading
from crossfade.ledger import is_installed
from crossfade.server_words import told
from crossfade.spec import Fleet, Member

_STANDING = """
SELECT CASE WHEN state = 'running' AND paused_at IS NOT NULL THEN 'paused' ELSE state END,
       plan_digest, spec_digest, coalesce(finished_at, started_at), problem,
       (SELECT pg_catalog.jsonb_object_agg(leg, pg_catalog.date_part('epoch', passed_at)) FROM crossfade.leg AS l
         WHERE l.migration = m.id AND passed_at IS NOT NULL),
       (SELECT leg FROM crossfade.leg AS l WHERE l.migration = m.id ORDER BY started_at DESC LIMIT 1),
       EXISTS (SELECT FROM crossfade.leg AS l WHERE l.migration = m.id), undo_to IS NOT NULL OR state = 'undone'
  FROM crossfade.migration AS m WHERE id = %s"""


@dataclass(frozen=True)
class Standing:
    """Where one member stands.

    state: as a migration's is told; `unreachable` where its ledger could not be asked. plan, spec: digests of the
    frozen plan and its spec; None when it has not started. passed: when each leg passed, in seconds since the epoch.
    leg: the latest that has begun. since: when it ended, or started. has_begun: something is done. taken_back: as a
    whole or to a leg, and nobody has let it go on since. problem: what the latest run ended with, or why it could not
    be asked.
    """

    member: Member
    state: str
    plan: str | None = None
    spec: str | None = None
    passed: tuple[tuple[str, float], ...] = ()
    leg: str | None = None
    since: datetime | None = None
    has_begun: bool = False
    taken_back: bool = False
    problem: str | None = None

    @property
    def has_started(self) -> bool:
        return self.state not in ("not started", "undone", "unreachable")

    def has_passed(self, leg: str | None) -> bool:
        """It is through the leg of that name; None: through all."""
        return self.state == "complete" or any(name == leg for name, _ in self.passed)

    def moment(self, leg: str | None) -> float | None:
        """When it had passed the leg; None: all of them. In seconds since the epoch."""
        if leg is None:
            return self.since.timestamp() if self.state == "complete" and self.since is not None else None
        return next((at for name, at in self.passed if name == leg), None)


def read_standings(fleet: Fleet, members: Sequence[Member], migration: str) -> dict[str, Standing]:
    """By the members' names, in their order. One that does not answer is no reason not to tell of the others."""

    def read(member: Member) -> Standing:
        return read_standing(member, migration)

    with ThreadPoolExecutor(max_workers=fleet.max_parallel) as pool:
        return {standing.member.name: standing for standing in pool.map(read, members)}


def read_standing(member: Member, migration: str) -> Standing:
    """Where one member stands; never raises for what its server answers."""
    try:
        with reading(member.database, "crossfade fleet") as connection:
            row = connection.execute(_STANDING, (migration,)).fetchone() if is_installed(connection) else None
    except CrossfadeError as error:
        return Standing(member, "unreachable", problem=": ".join(filter(None, (error.what, error.why))))
    except psycopg.Error as error:
        return Standing(member, "unreachable", problem=told(error))
    return _standing(member, row) if row is not None else Standing(member, "not started")


def _standing(member: Member, row: tuple[Any, ...]) -> Standing:
    state, plan, spec, since, problem, passed, leg, has_begun, taken_back = row
    moments: dict[str, float] = passed or {}
    return Standing(member, state, plan, spec, tuple(moments.items()), leg, since, has_begun, taken_back, problem)
