"""A streaming replica: it follows, it lags when told to, it is read only."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from crossfade.server import LocalServer, start_local

from .owners import ask, processes_of, settles

LAG = "SELECT pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) > 0"


@pytest.mark.parametrize("kind", ["binaries", "wheel"])
def test_a_replica_follows_its_primary(kind: str, place: Path) -> None:
    with start_local("wheel" if kind == "wheel" else "binaries", parent=place) as primary:
        with primary.replica() as replica:
            ask(primary.url, "CREATE TABLE flight AS SELECT 7 AS id")

            assert settles(lambda: ask(replica.url, "SELECT to_regclass('flight') IS NOT NULL") is True)
            assert ask(replica.url, "SELECT pg_is_in_recovery()") is True
        assert ask(primary.url, "SELECT id FROM flight") == 7
    assert not processes_of(place)


def test_pausing_replay_makes_lag_visible_and_resuming_ends_it(own_server: LocalServer) -> None:
    with own_server.replica() as replica:
        assert settles(lambda: ask(own_server.url, "SELECT count(*) FROM pg_stat_replication") == 1)
        ask(replica.url, "SELECT pg_wal_replay_pause()")
        ask(own_server.url, "CREATE TABLE flight AS SELECT generate_series(1, 10000) AS id")

        assert settles(lambda: ask(replica.url, LAG) is True)
        assert ask(replica.url, "SELECT to_regclass('flight') IS NULL") is True

        ask(replica.url, "SELECT pg_wal_replay_resume()")

        assert settles(lambda: ask(replica.url, "SELECT to_regclass('flight') IS NOT NULL") is True)


def test_a_replica_refuses_to_write(own_server: LocalServer) -> None:
    with own_server.replica() as replica, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        ask(replica.url, "CREATE TABLE flight (id int)")


def test_a_replica_follows_again_after_a_crash_of_its_primary(own_server: LocalServer) -> None:
    with own_server.replica() as replica:
        own_server.kill()
        own_server.restart()
        ask(own_server.url, "CREATE TABLE flight (id int)")

        assert settles(lambda: ask(replica.url, "SELECT to_regclass('flight') IS NOT NULL") is True, 20)
