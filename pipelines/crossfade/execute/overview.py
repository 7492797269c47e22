"""What one database's ledger says of many migrations at once: a few queries, however many there are.

Of a finished migration only its row is read; of the others also where they are, without reading their plans whole.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import class_row

from crossfade.execute.blockers import blocking
from crossfade.execute.notice import Blocker
from crossfade.execute.overdue import longest_soaks
from crossfade.ledger import GateRecord, Ledger, LegRecord
from crossfade.ledger.lease import session_name
from crossfade.ledger.records import MigrationState
from crossfade.plan import VersionViews

# A holder whose lease has run out works no more.
_MIGRATIONS = """
SELECT id, title, owner, CASE WHEN id <> ALL (%(known)s) THEN plan -> 'databases'::text END AS databases,
       state, spec_digest, epoch,
       CASE WHEN lease_until > pg_catalog.clock_timestamp() THEN holder END AS holder,
       CASE WHEN lease_until <= pg_catalog.clock_timestamp() THEN holder END AS lost_holder,
       paused_at, paused_by, undo_to, problem, finished_at, crossfade.clock() AS asked_at,
       (SELECT leg FROM crossfade.leg AS l WHERE l.migration = m.id
         ORDER BY passed_at DESC NULLS LAST LIMIT 1) AS last_leg,
       (SELECT pg_catalog.min(keep_until) FROM crossfade.archive AS a
         WHERE a.migration = m.id AND a.purged_at IS NULL) AS kept_until,
       coalesce(given.approvals, 0) AS approvals
  FROM crossfade.migration AS m
  LEFT JOIN (SELECT migration, pg_catalog.count(*) AS approvals FROM crossfade.approval GROUP BY migration) AS given
         ON given.migration = m.id
 WHERE %(others)s OR id = ANY (%(known)s) ORDER BY started_at, id"""

_PATHS = """
SELECT id, (SELECT pg_catalog.array_agg(coalesce(leg ->> 'stage'::text, leg ->> 'phase'::text) ORDER BY place)
              FROM pg_catalog.jsonb_array_elements(plan -> 'legs'::text) WITH ORDINALITY AS legs(leg, place)) AS legs,
       plan -> 'versions'::text, plan -> 'gates'::text
  FROM crossfade.migration WHERE id = ANY(%s)"""

_LEGS = """
SELECT migration, leg, started_at, finished_at, passed_at FROM crossfade.leg WHERE migration = ANY(%s)"""

# Until a gate is asked again, an approval given since may open what was to hold later.
_GATES = """
SELECT migration, point, gate, state, reason,
       CASE WHEN NOT EXISTS (SELECT FROM crossfade.approval AS a
                              WHERE a.migration = asked.migration AND a.event IS NULL) THEN holds_at END,
       evidence, since, checked_at
  FROM crossfade.gate AS asked
 WHERE migration = ANY(%s) AND (state <> 'holds' OR pg_catalog.jsonb_exists(evidence, 'overridden_by'))
 ORDER BY since, gate"""

# A step that is not done: at work now, or where the last run ended. What a check found is in its event.
_STEPS = """
SELECT s.migration,
       pg_catalog.jsonb_path_query_first(m.plan, '$.steps[*] ? (@.id == $id).title',
                                         pg_catalog.jsonb_build_object('id', s.id)) #>> '{}'::text[]
         AS title,
       walked.done, walked.blocks, refused.found, s.detail ->> 'waits for'::text
  FROM crossfade.step AS s
  JOIN crossfade.migration AS m ON m.id = s.migration
  LEFT JOIN LATERAL (
    SELECT pg_catalog.sum(next_block - first_block)::bigint AS done,
           pg_catalog.sum(end_block - first_block)::bigint AS blocks
      FROM crossfade.progress AS p WHERE p.migration = s.migration AND p.step = s.id) AS walked ON true
  LEFT JOIN LATERAL (
    SELECT body -> 'found'::text AS found FROM crossfade.event AS e
     WHERE e.migration = s.migration AND e.at >= s.started_at AND kind = 'check refused'
       AND body ->> 'step'::text = s.id
     ORDER BY seq DESC LIMIT 1) AS refused ON true
 WHERE s.state = 'running' AND s.migration = ANY(%s) ORDER BY s.started_at"""

# What the latest attempt at a lock met, unless a step has succeeded since.
_HELD_UP = """
SELECT wanted.id, latest.body -> 'blockers'::text
  FROM pg_catalog.unnest(%s::text[]) AS wanted(id) CROSS JOIN LATERAL (
    SELECT kind, body FROM crossfade.event AS e
     WHERE e.migration = wanted.id
       AND kind IN ('attempt failed', 'lock budget used up', 'step done', 'step undone')
     ORDER BY seq DESC LIMIT 1) AS latest
 WHERE latest.kind IN ('attempt failed', 'lock budget used up')"""

_WAITING = """
SELECT application_name, pg_catalog.array_agg(pid) FROM pg_stat_activity
 WHERE datname = pg_catalog.current_database() AND wait_event_type = 'Lock' AND application_name = ANY (%s)
 GROUP BY application_name"""


@dataclass(frozen=True)
class KnownMigration:
    """A migration's row, without its plan.

    databases: of one that was not asked for by name; None for others. holder: who works on it now, None when nobody
    does. lost_holder: who did until their lease ran out, and did not let go of it. last_leg: the last one that passed,
    None before the first. kept_until: of the old values kept aside, the earliest. approvals: how many were ever
    given, of any plan and of overrides. asked_at: when this was read, by the ledger's clock.
    """

    id: str
    title: str
    owner: str | None
    databases: list[str] | None
    state: MigrationState
    spec_digest: str
    epoch: int
    holder: str | None
    lost_holder: str | None
    paused_at: datetime | None
    paused_by: str | None
    undo_to: str | None
    problem: str | None
    finished_at: datetime | None
    asked_at: datetime
    last_leg: str | None
    kept_until: datetime | None
    approvals: int

    @property
    def is_finished(self) -> bool:
        return self.state in ("complete", "undone")


@dataclass(frozen=True)
class OpenStep:
    """A step that has begun and is not done.

    blocks: 0 when it does not walk. found: what a check refused. waits_for: the pressure at which a walk waits.
    """

    title: str | None
    blocks_done: int
    blocks: int
    found: dict[str, int]
    waits_for: str | None


@dataclass(frozen=True)
class Overview:
    """One ledger's view; all but `migrations` and `begun` hold unfinished ones only.

    begun: those of which something is done. paths: the legs of a migration's plan, in order.
    soaks: the longest at each point of it.
    legs: those that have begun, by name.
    versions: the tables that each version sees by views. gates: the answers that do not hold, or only by an override.
    blockers: who holds what the migration waits for, now or at its last attempt.
    """

    migrations: dict[str, KnownMigration]
    begun: frozenset[str]
    paths: dict[str, tuple[str, ...]]
    soaks: dict[str, dict[str, timedelta]]
    versions: dict[str, tuple[VersionViews, ...]]
    legs: dict[str, dict[str, LegRecord]]
    gates: dict[str, tuple[GateRecord, ...]]
    steps: dict[str, tuple[OpenStep, ...]]
    blockers: dict[str, tuple[Blocker, ...]]


NOTHING = Overview({}, frozenset(), {}, {}, {}, {}, {}, {}, {})


def read_overview(connection: psycopg.Connection[Any], migrations: Collection[str], *, others: bool) -> Overview:
    """Read what the ledger behind `connection` knows of these migrations. others: and of all that it knows beside."""
    with connection.cursor(row_factory=class_row(KnownMigration)) as cursor:
        known = cursor.execute(_MIGRATIONS, {"known": list(migrations), "others": others}).fetchall()
    begun = Ledger(connection).begun([each.id for each in known])
    unfinished = [each.id for each in known if not each.is_finished]
    if not unfinished:
        return replace(NOTHING, migrations={each.id: each for each in known}, begun=begun)

    def rows(query: str) -> list[tuple[Any, ...]]:
        return connection.execute(query.encode(), (unfinished,)).fetchall()

    legs: dict[str, dict[str, LegRecord]] = {}
    for migration, *leg in rows(_LEGS):
        legs.setdefault(migration, {})[leg[0]] = LegRecord(*leg)
    gates: dict[str, tuple[GateRecord, ...]] = {}
    for migration, *gate in rows(_GATES):
        gates[migration] = (*gates.get(migration, ()), GateRecord(*gate))
    steps: dict[str, tuple[OpenStep, ...]] = {}
    for migration, title, done, blocks, found, waits_for in rows(_STEPS):
        step = OpenStep(title, done or 0, blocks or 0, found or {}, waits_for)
        steps[migration] = (*steps.get(migration, ()), step)
    paths: dict[str, tuple[str, ...]] = {}
    versions: dict[str, tuple[VersionViews, ...]] = {}
    soaks: dict[str, dict[str, timedelta]] = {}
    for migration, path, shown, planned in rows(_PATHS):
        paths[migration] = tuple(path or ())
        soaks[migration] = longest_soaks(planned or ())
        versions[migration] = tuple(VersionViews.model_validate(each) for each in shown or ())
    blockers = {migration: tuple(Blocker(**each) for each in found or ()) for migration, found in rows(_HELD_UP)}
    blockers |= _blocking_now(connection, known)
    return Overview({each.id: each for each in known}, begun, paths, soaks, versions, legs, gates, steps, blockers)


def _blocking_now(
    connection: psycopg.Connection[Any], known: Collection[KnownMigration]
) -> dict[str, tuple[Blocker, ...]]:
    sessions = {session_name(each.id, each.epoch): each.id for each in known if each.holder is not None}
    if not sessions:
        return {}
    waiting = connection.execute(_WAITING, (list(sessions),)).fetchall()
    return {sessions[name]: blocking(connection, pids) for name, pids in waiting}
