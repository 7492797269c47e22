"""An older ledger is brought to the current version in place, whoever works meanwhile, and its chain still holds."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from psycopg import errors
from tests.ledger.conftest import Connection, Open, install_at_once, start
from tests.scene import Scene

from crossfade.ledger import Ledger, LedgerError, Shape, install, lease, require_current, verify
from crossfade.ledger.install import SHAPE

SECOND = Shape(
    SHAPE.schema + "ALTER TABLE crossfade.migration ADD COLUMN ticket text;",
    {**SHAPE.upgrades, SHAPE.version + 1: "ALTER TABLE crossfade.migration ADD COLUMN ticket text"},
)
THIRD = replace(SECOND, upgrades={**SECOND.upgrades, SECOND.version + 1: "CREATE TABLE crossfade.later (ticket text);"})
VERSIONS = "SELECT version FROM crossfade.version ORDER BY version"
NEW_COLUMN = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'crossfade.migration'::regclass AND attname = 'ticket'"


def test_upgrades_are_run_in_order_and_each_is_told_of(started: Ledger) -> None:
    install(started.connection, THIRD)

    assert started.connection.execute(VERSIONS).fetchall() == [(1,), (2,), (3,)]
    assert started.connection.execute(NEW_COLUMN).fetchone() == (1,)
    assert started.migration("m") is not None


def test_a_new_ledger_is_of_the_current_version_at_once(connection: Connection) -> None:
    install(connection, SECOND)

    assert connection.execute(VERSIONS).fetchall() == [(2,)]
    require_current(connection, SECOND)


def test_the_chain_holds_across_an_upgrade(started: Ledger) -> None:
    before, _ = verify(started.connection)

    install(started.connection, SECOND)
    started.event("m", "later", {})

    assert verify(started.connection) == (before + 1, None)


def test_an_upgrade_that_fails_leaves_the_ledger_as_it_was(started: Ledger) -> None:
    broken = replace(SECOND, upgrades={**SECOND.upgrades, 3: "ALTER TABLE crossfade.nothing ADD x int"})

    with pytest.raises(errors.UndefinedTable):
        install(started.connection, broken)

    assert started.connection.execute(VERSIONS).fetchall() == [(1,)]
    assert started.connection.execute(NEW_COLUMN).fetchone() == (0,)


def test_of_two_that_upgrade_at_once_one_does_it(started: Ledger, open_session: Open) -> None:
    assert install_at_once(open_session, SECOND) == []
    assert started.connection.execute(VERSIONS).fetchall() == [(1,), (2,)]


def test_a_runner_of_the_older_version_goes_on_under_its_lease(started: Ledger, open_session: Open) -> None:
    held = lease.acquire(started.connection, "m", "old runner")

    install(open_session(), SECOND)

    lease.renew(started.connection, held)
    with started.connection.transaction():
        lease.fence(started.connection, held)
        started.step_running("m", "s", "expand")
        started.step_done("m", "s")
    start(started, "another")
    assert verify(started.connection)[1] is None


def test_an_upgrade_waits_for_a_transaction_that_works_and_holds_nobody_up(started: Ledger, open_session: Open) -> None:
    held = lease.acquire(started.connection, "m", "old runner")
    upgrading = threading.Thread(target=install, args=(open_session(), SECOND))

    with started.connection.transaction():
        lease.fence(started.connection, held)
        upgrading.start()
        # Behind a lock that is waited for; it is given up before a second is over.
        beside = open_session()
        beside.execute("SET statement_timeout TO '5s'")
        for _ in range(3):
            assert beside.execute("SELECT count(*) FROM crossfade.migration").fetchone() == (1,)
            upgrading.join(0.7)
        assert started.connection.execute(VERSIONS).fetchall() == [(1,)]
    upgrading.join()

    assert started.connection.execute(VERSIONS).fetchall() == [(1,), (2,)]


def test_a_ledger_that_a_newer_crossfade_upgraded_is_refused(started: Ledger) -> None:
    install(started.connection, SECOND)

    with pytest.raises(LedgerError, match="has version 2, this crossfade writes 1"):
        install(started.connection)
    with pytest.raises(LedgerError, match="has version 2, this crossfade writes 1"):
        require_current(started.connection)


def test_who_would_work_on_an_older_ledger_is_told_what_upgrades_it(started: Ledger) -> None:
    with pytest.raises(LedgerError) as refused:
        require_current(started.connection, SECOND)

    assert refused.value.fix == "`crossfade up` upgrades it"


def test_a_rollback_refuses_a_ledger_that_a_newer_crossfade_upgraded(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY)")
    scene.spec("changes:\n  - add_column: {table: items, column: a, type: int}\n")
    scene.up(through="expand")
    install(scene.ledger().connection, SECOND)

    with pytest.raises(LedgerError, match="has version 2, this crossfade writes 1"):
        scene.rollback()
