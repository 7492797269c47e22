"""Leases: one runner works, by the server's clock; one that lost its lease cannot commit."""

from __future__ import annotations

import threading
from datetime import timedelta

import psycopg
import pytest
from tests.ledger.conftest import Connection, Open, start

from crossfade.ledger import LeaseLost, LeaseTaken, Ledger, LedgerError, lease

SHORT = timedelta(milliseconds=1)


@pytest.fixture
def first(started: Ledger) -> Connection:
    return started.connection


@pytest.fixture
def second(first: Connection, open_session: Open) -> Connection:
    return open_session()


def test_the_second_runner_is_told_who_works_and_for_how_long(first: Connection, second: Connection) -> None:
    lease.acquire(first, "m", "ada@host pid 1")

    with pytest.raises(LeaseTaken, match="ada@host pid 1 works on m now") as taken:
        lease.acquire(second, "m", "ben")

    assert taken.value.fix is not None
    assert "its lease ends in 30 s" in taken.value.fix or "its lease ends in 29 s" in taken.value.fix


def test_of_many_at_once_one_wins(first: Connection, open_session: Open) -> None:
    won: list[lease.Lease] = []
    lost: list[LeaseTaken] = []
    barrier = threading.Barrier(5)

    def run(session: Connection, holder: str) -> None:
        barrier.wait()
        try:
            won.append(lease.acquire(session, "m", holder))
        except LeaseTaken as taken:
            lost.append(taken)

    threads = [threading.Thread(target=run, args=(open_session(), f"runner {n}")) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(won), len(lost)) == (1, 4)
    assert first.execute("SELECT epoch, holder FROM crossfade.migration").fetchone() == (1, won[0].holder)


def test_a_lease_that_was_given_back_is_free(first: Connection, second: Connection) -> None:
    lease.release(first, lease.acquire(first, "m", "ada"))

    assert lease.acquire(second, "m", "ben").epoch == 2


def test_a_lease_that_ran_out_by_the_servers_clock_is_free(first: Connection, second: Connection) -> None:
    lease.acquire(first, "m", "ada", SHORT)

    assert lease.acquire(second, "m", "ben").epoch == 2


def test_a_renewed_lease_is_not_free(first: Connection, second: Connection) -> None:
    held = lease.acquire(first, "m", "ada", timedelta(seconds=1))
    lease.renew(first, held, timedelta(minutes=1))
    first.execute("SELECT pg_sleep(1.1)")

    with pytest.raises(LeaseTaken):
        lease.acquire(second, "m", "ben")


def test_a_lease_that_went_to_another_cannot_be_renewed_nor_given_back(first: Connection, second: Connection) -> None:
    old = lease.acquire(first, "m", "ada", SHORT)
    new = lease.acquire(second, "m", "ben")

    with pytest.raises(LeaseLost, match="this runner lost its lease on m"):
        lease.renew(first, old)
    lease.release(first, old)

    assert second.execute("SELECT holder, epoch FROM crossfade.migration").fetchone() == ("ben", new.epoch)


def test_a_runner_with_an_old_epoch_cannot_begin_work(first: Connection, second: Connection) -> None:
    old = lease.acquire(first, "m", "ada", SHORT)
    new = lease.acquire(second, "m", "ben")

    with pytest.raises(LeaseLost), first.transaction():
        lease.fence(first, old)
    with second.transaction():
        lease.fence(second, new)


def test_nobody_takes_over_while_work_is_being_committed(first: Connection, second: Connection) -> None:
    """The share that a working transaction holds makes the next runner wait for its end."""
    old = lease.acquire(first, "m", "ada", SHORT)
    second.execute("SET lock_timeout TO '100ms'")

    with first.transaction():
        lease.fence(first, old)
        first.execute("CREATE TABLE work ()")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            lease.acquire(second, "m", "ben")

    assert lease.acquire(second, "m", "ben").epoch == 2


def test_a_renewal_does_not_wait_for_work_under_way(first: Connection, second: Connection) -> None:
    held = lease.acquire(first, "m", "ada")
    second.execute("SET lock_timeout TO '1s'")

    with first.transaction():
        lease.fence(first, held)
        lease.renew(second, held)


def test_taking_over_ends_the_stalled_runners_sessions_and_what_they_hold(
    first: Connection, second: Connection, open_session: Open
) -> None:
    old = lease.acquire(first, "m", "ada", SHORT)
    stalled = open_session()
    stalled.execute("SELECT set_config('application_name', %s, false)", (lease.session_name("m", old.epoch),))
    stalled.execute("BEGIN")
    lease.fence(stalled, old)
    stalled.execute("CREATE TABLE half_done ()")

    assert lease.acquire(second, "m", "ben").epoch == 2

    with pytest.raises(psycopg.OperationalError):
        stalled.execute("COMMIT")
    assert second.execute("SELECT to_regclass('half_done')").fetchone() == (None,)


def test_taking_over_leaves_the_sessions_of_other_migrations_alone(started: Ledger, open_session: Open) -> None:
    names = ["m" * 60 + "1", "m" * 60 + "2"]
    for name in names:
        start(started, name)
        lease.acquire(started.connection, name, "ada", SHORT)
    neighbour = open_session()
    neighbour.execute("SELECT set_config('application_name', %s, false)", (lease.session_name(names[1], 1),))

    lease.acquire(started.connection, names[0], "ben")

    assert neighbour.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("migration", ["m", "m" * 63])
def test_a_session_name_fits_and_tells_migration_and_epoch(migration: str) -> None:
    name = lease.session_name(migration, 12)

    assert len(name) <= 63
    assert name.startswith("crossfade 12 mm"[: 14 if migration == "m" else 15])


def test_the_epoch_goes_on_when_an_undone_migration_starts_again(started: Ledger, second: Connection) -> None:
    lease.release(started.connection, lease.acquire(started.connection, "m", "ada"))
    started.set_state("m", "undone")

    start(started)

    assert lease.acquire(second, "m", "ben").epoch == 2


def test_a_fence_tells_that_somebody_paused(started: Ledger) -> None:
    held = lease.acquire(started.connection, "m", "ada")
    with started.connection.transaction():
        assert lease.fence(started.connection, held) is False

    started.pause("m")

    with started.connection.transaction():
        assert lease.fence(started.connection, held) is True


def test_a_lease_on_a_migration_the_ledger_does_not_know_is_refused_in_words(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="has no migration gone"):
        lease.acquire(ledger.connection, "gone", "ada")
