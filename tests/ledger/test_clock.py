"""One clock decides and dates all that counts in days: set it, and a year passes without sleeping."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from psycopg import errors
from tests.scene import Scene

from crossfade.execute.purge import expired, purge
from crossfade.execute.status import read_status

LATER = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
DAY = timedelta(days=1)
NAMES = "CREATE TABLE items (id bigint PRIMARY KEY, name text); INSERT INTO items VALUES (1, 'Ada')"
STAGED = """
changes: [{rename_column: {table: items, from: name, to: title}}]
gates: {validate: [{soak: 2d}]}
contract: {stages: [{retire: {after: 7d}}, {archive: {after: 3d, keep: 30d}}, {drop: {after: 7d}}]}
"""
MOMENTS = """
SELECT format('SELECT %L, %I FROM crossfade.%I WHERE %I IS NOT NULL',
              c.relname || '.' || a.attname, a.attname, c.relname, a.attname)
  FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
 WHERE c.relnamespace = 'crossfade'::regnamespace AND c.relkind = 'r' AND a.atttypid = 'timestamptz'::regtype
   AND a.attname NOT IN ('lease_until', 'installed_at')"""


@pytest.fixture
def items(scene: Scene) -> Scene:
    scene.sql(NAMES)
    return scene


def test_stages_wait_and_go_on_by_it(items: Scene) -> None:
    items.spec(STAGED)
    reached: list[tuple[int, str | None]] = []
    for day in range(23):
        items.set_clock(LATER + day * DAY)
        items.up()
        (status,) = read_status(items.project())
        if not reached or reached[-1][1] != status.leg:
            reached.append((day, status.leg))

    assert reached == [(0, "validate"), (2, "retire"), (9, "archive"), (12, "drop"), (19, None)]


def test_every_moment_in_the_ledger_is_by_it(items: Scene) -> None:
    items.spec(STAGED.replace("7d", "0s").replace("3d", "0s").replace("2d", "0s"))
    items.set_clock(LATER)
    items.ledger().approve("m", team=None, plan_digest="-", reason=None)
    items.up(through="expand")
    items.ledger().pause("m")
    items.up()
    items.ledger().resume("m")
    assert items.up().ended == "complete"

    found = {row for (query,) in items.sql(MOMENTS) for row in items.sql(query)}

    assert found == {(name, LATER + 30 * DAY if name == "archive.keep_until" else LATER) for name, _ in found}
    assert {name for name, _ in found} >= {"leg.passed_at", "step.finished_at", "gate.since", "event.at"}


def test_old_values_are_purged_by_it(items: Scene) -> None:
    items.spec(STAGED.replace("7d", "0s").replace("3d", "0s").replace("2d", "0s"))
    items.set_clock(LATER)
    items.up()
    project, runner = items.project(), items.runner()

    items.set_clock(LATER + 30 * DAY - timedelta(seconds=1))
    assert expired(project) == ()
    items.set_clock(LATER + 30 * DAY)
    assert len([*purge(project, expired(project), runner.holder, runner.listen)]) == 1

    assert items.one("SELECT purged_at FROM crossfade.archive") == LATER + 30 * DAY


def test_it_is_the_servers_until_somebody_who_owns_the_ledger_says_otherwise(items: Scene) -> None:
    items.spec(STAGED)
    items.up()
    now, clock = items.sql("SELECT clock_timestamp(), crossfade.clock()")[0]
    assert abs(clock - now) < timedelta(minutes=1)

    with items.connect() as other:
        other.execute("SET ROLE pg_monitor")
        with pytest.raises(errors.InsufficientPrivilege):
            other.execute(
                "CREATE OR REPLACE FUNCTION crossfade.clock() RETURNS timestamptz LANGUAGE sql AS 'SELECT now()'"
            )
