"""What it costs to compare two tables, against one hand-written checksum of each, asked at the same time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg

from benchmarks.measured import Group, Way
from benchmarks.place import prepare
from crossfade.compare import Question, Side, compare
from crossfade.errors import Position
from crossfade.execute import reading
from crossfade.server import LocalServer
from crossfade.spec import Database

TABLE = """
CREATE TABLE users (id {type} PRIMARY KEY, email text, name text, born date, seen timestamptz, balance numeric(12,2));
INSERT INTO users SELECT {key}, format('User%s@example.com', n), md5(n::text), date '1960-01-01' + n % 20000,
                         timestamptz '2020-01-01' + n * interval '1 s', n % 100000 / 100.0
  FROM generate_series(1, {rows}) AS n
"""
_KEYS = {"bigint": "n", "uuid": "md5(n::text)::uuid"}
_BY_HAND = b"SELECT pg_catalog.count(*), pg_catalog.sum(pg_catalog.hashtext(users::text)) FROM users"


def comparing(server: LocalServer, rows: int, runs: int) -> Iterator[Group]:
    """In turns: by hand, equal tables, tables with one row that differs."""
    for type_, key in _KEYS.items():
        for name in ("one", "other"):
            prepare(server, name, TABLE.format(type=type_, key=key, rows=rows))
            os.environ[f"{name.upper()}_URL"] = server.database_url(name)
        measured: dict[str, list[float]] = {"by hand": [], "equal": [], "one row differs": []}
        for _ in range(runs + 1):
            measured["by hand"].append(_by_hand(server))
            measured["equal"].append(_compare(0))
            with psycopg.connect(server.database_url("other"), autocommit=True) as connection:
                connection.execute("UPDATE users SET born = born + 1 WHERE email = 'User4711@example.com'")
                measured["one row differs"].append(_compare(1))
                connection.execute("UPDATE users SET born = born - 1 WHERE email = 'User4711@example.com'")
        ways = (Way(name, tuple(seconds[1:])) for name, seconds in measured.items())
        yield Group(f"two tables of {rows:,} rows, {type_} key", "s", tuple(ways), better="lower")
        for name in ("one", "other"):
            server.drop_database(name)


def _by_hand(server: LocalServer) -> float:
    def checksum(name: str) -> object:
        with psycopg.connect(server.database_url(name)) as connection:
            return connection.execute(_BY_HAND).fetchone()

    with ThreadPoolExecutor(2) as threads:
        began = time.monotonic()
        one, other = threads.map(checksum, ("one", "other"))
        assert one == other
        return time.monotonic() - began


def _compare(differing: int) -> float:
    databases = {
        name: Database(name, f"env:{name.upper()}_URL", Position(Path("databases.yaml"))) for name in ("one", "other")
    }
    began = time.monotonic()
    found = compare(Question(Side("one", "users"), Side("other", "users")), lambda name: reading(databases[name]))
    assert len(found.differences) == differing
    return time.monotonic() - began
