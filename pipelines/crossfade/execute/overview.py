"""What one database's ledger says of many migrations at once: a few queries, however many there are.

Of a finished migration only its row is read; of the others also where they are, without reading their plans whole.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

from crossfade.ledger import GateRecord, LegRecord
from crossfade.ledger.records import MigrationState

# A holder whose lease has run out works no more.
_MIGRATIONS = """
SELECT id, state, spec_digest,
       CASE WHEN lease_until > clock_timestamp() THEN holder END AS holder,
       paused_at, paused_by, undo_to, problem, finished_at,
       (SELECT leg FROM crossfade.leg AS l WHERE l.migration = m.id
         ORDER BY passed_at DESC NULLS LAST LIMIT 1) AS last_leg
  FROM crossfade.migration AS m WHERE id = ANY(%s)"""

_PATHS = """
SELECT id, (SELECT array_agg(coalesce(leg ->> 'stage', leg ->> 'phase') ORDER BY place)
              FROM jsonb_array_elements(plan -> 'legs') WITH ORDINALITY AS legs(leg, place)) AS legs
  FROM crossfade.migration WHERE id = ANY(%s)"""

_LEGS = """
SELECT migration, leg, started_at, finished_at, passed_at FROM crossfade.leg WHERE migration = ANY(%s)"""

_GATES = """
SELECT migration, point, gate, state, reason, holds_at, evidence, since, checked_at
  FROM crossfade.gate WHERE migration = ANY(%s) AND state <> 'holds' ORDER BY since, gate"""

# A step that is not done: at work now, or where the last run ended. What a check found is in its event.
_STEPS = """
SELECT s.migration,
       jsonb_path_query_first(m.plan, '$.steps[*] ? (@.id == $id).title', jsonb_build_object('id', s.id)) #>> '{}'
         AS title,
       walked.done, walked.blocks, refused.found
  FROM crossfade.step AS s
  JOIN crossfade.migration AS m ON m.id = s.migration
  LEFT JOIN LATERAL (
    SELECT sum(next_block - first_block)::bigint AS done, sum(end_block - first_block)::bigint AS blocks
      FROM crossfade.progress AS p WHERE p.migration = s.migration AND p.step = s.id) AS walked ON true
  LEFT JOIN LATERAL (
    SELECT body -> 'found' AS found FROM crossfade.event AS e
     WHERE e.migration = s.migration AND e.at >= s.started_at AND kind = 'check refused' AND body ->> 'step' = s.id
     ORDER BY seq DESC LIMIT 1) AS refused ON true
 WHERE s.state = 'running' AND s.migration = ANY(%s) ORDER BY s.started_at"""


@dataclass(frozen=True)
class KnownMigration:
    """A migration's row, without its plan.

    holder: who works on it now, None when nobody does. last_leg: the last one that passed, None before the first.
    """

    id: str
    state: MigrationState
    spec_digest: str
    holder: str | None
    paused_at: datetime | None
    paused_by: str | None
    undo_to: str | None
    problem: str | None
    finished_at: datetime | None
    last_leg: str | None

    @property
    def is_finished(self) -> bool:
        return self.state in ("complete", "undone")


@dataclass(frozen=True)
class OpenStep:
    """A step that has begun and is not done. blocks: 0 when it does not walk. found: what a check refused."""

    title: str | None
    blocks_done: int
    blocks: int
    found: dict[str, int]


@dataclass(frozen=True)
class Overview:
    """One ledger's view; all but `migrations` hold unfinished ones only.

    paths: the legs of a migration's plan, in order. legs: those that have begun, by name.
    gates: the answers that do not hold.
    """

    migrations: dict[str, KnownMigration]
    paths: dict[str, tuple[str, ...]]
    legs: dict[str, dict[str, LegRecord]]
    gates: dict[str, tuple[GateRecord, ...]]
    steps: dict[str, tuple[OpenStep, ...]]


def read_overview(connection: psycopg.Connection[Any], migrations: Collection[str]) -> Overview:
    """Read what the ledger behind `connection` knows of these migrations."""
    with connection.cursor(row_factory=class_row(KnownMigration)) as cursor:
        known = cursor.execute(_MIGRATIONS, (list(migrations),)).fetchall()
    unfinished = [each.id for each in known if not each.is_finished]
    if not unfinished:
        return Overview({each.id: each for each in known}, {}, {}, {}, {})

    def rows(query: str) -> list[tuple[Any, ...]]:
        return connection.execute(query.encode(), (unfinished,)).fetchall()

    legs: dict[str, dict[str, LegRecord]] = {}
    for migration, *leg in rows(_LEGS):
        legs.setdefault(migration, {})[leg[0]] = LegRecord(*leg)
    gates: dict[str, tuple[GateRecord, ...]] = {}
    for migration, *gate in rows(_GATES):
        gates[migration] = (*gates.get(migration, ()), GateRecord(*gate))
    steps: dict[str, tuple[OpenStep, ...]] = {}
    for migration, title, done, blocks, found in rows(_STEPS):
        steps[migration] = (*steps.get(migration, ()), OpenStep(title, done or 0, blocks or 0, found or {}))
    paths = {migration: tuple(path or ()) for migration, path in rows(_PATHS)}
    return Overview({each.id: each for each in known}, paths, legs, gates, steps)
