"""Replicas keep up, and a number is within its bound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from pydantic import ValidationError
from tests.gates.asking import Desk

from crossfade.gates import GateError
from crossfade.gates.healthy import HealthyGate
from crossfade.server import LocalServer


def gate(**body: Any) -> HealthyGate:
    return HealthyGate.model_validate({"healthy": body})


@pytest.mark.parametrize(
    ("query", "state", "reason"),
    [
        ("SELECT 0.01", "holds", "0.01 is at most 0.01"),
        ("SELECT 2::bigint", "waits", "2 is more than 0.01"),
        ("SELECT NULL::float8", "waits", "the query gives NULL"),
        ("SELECT 'NaN'::numeric", "waits", "nan is more than 0.01"),
        ("SELECT 'Infinity'::float8", "waits", "inf is more than 0.01"),
        ("SELECT 1 WHERE false", "never", "it gives no row, not one"),
        ("SELECT g FROM generate_series(1, 2) AS g", "never", "it gives several rows, not one"),
        ("SELECT true", "never", "it gives (bool), not one number"),
    ],
)
def test_a_number_is_compared_with_its_bound(desk: Desk, query: str, state: str, reason: str) -> None:
    answer = desk.ask(gate(query=query, at_most=0.01))

    assert (answer.state, answer.reason) == (state, reason)


def test_a_database_without_replicas_has_none_that_lag(desk: Desk) -> None:
    answer = desk.ask(gate(replica_lag="5s"))

    assert (answer.state, answer.reason) == ("holds", "it has no replica")


def test_replicas_that_are_missing_are_waited_for(desk: Desk) -> None:
    answer = desk.ask(gate(replica_lag="5s", replicas=2, query="SELECT 1", at_most=2))

    assert (answer.state, answer.reason) == ("waits", "0 of 2 replicas are there")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "says what must be well"),
        ({"query": "SELECT 1"}, "`query` and `at_most` go together"),
        ({"at_most": 1.0, "replica_lag": "1s"}, "`query` and `at_most` go together"),
        ({"replicas": 1, "query": "SELECT 1", "at_most": 1}, "`replicas` goes with `replica_lag`"),
        ({"replica_lag": "1m"}, "30s is the longest"),
        ({"query": "DELETE FROM t", "at_most": 1}, "only a query that reads"),
    ],
)
def test_what_could_not_be_asked_is_refused_when_it_is_read(body: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        gate(**body)


def test_labels_tell_what_must_be_well() -> None:
    assert gate(replica_lag="5s").label == "healthy replica_lag 5s"
    assert gate(query="SELECT 1", at_most=0.5).label == "healthy SELECT 1 at most 0.5"


@pytest.mark.slow
def test_a_replica_that_stands_still_is_waited_for_and_who_may_not_see_it_is_told(
    own_server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROFILE_URL", own_server.url)
    desk = Desk(own_server.url, "PROFILE_URL", tmp_path)
    short = gate(replica_lag="300ms", replicas=1)
    with desk.connection, own_server.replica() as replica, psycopg.connect(replica.url, autocommit=True) as standby:
        kept_up = desk.ask(gate(replica_lag="20s", replicas=1))
        standby.execute("SELECT pg_wal_replay_pause()")
        desk.sql("CREATE TABLE written (id int)")
        behind = desk.ask(short)
        desk.sql("CREATE ROLE blind LOGIN PASSWORD 'blind'")
        monkeypatch.setenv("PROFILE_URL", make_conninfo(own_server.url, user="blind", password="blind"))
        with pytest.raises(GateError, match="may not see how far replicas are"):
            desk.ask(short)

    assert (kept_up.state, kept_up.reason) == ("holds", "1 replica keeps up")
    assert (behind.state, behind.reason) == ("waits", "further behind than 300ms: 1 of 1 replicas")
