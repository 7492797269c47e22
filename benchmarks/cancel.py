"""How long a statement goes on after its run was cancelled in Dagster's pages."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg
from tests.orchestrate.dev_server import DevServer
from tests.orchestrate.orchestra import wait_until

from benchmarks.measured import Group, Way
from benchmarks.place import fresh, prepare, project
from crossfade.server import LocalServer

_TABLE = """
CREATE FUNCTION slowly(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
  BEGIN IF $1 LIKE 'Name %' THEN PERFORM pg_catalog.pg_sleep(60); END IF; RETURN lower($1); END $$;
CREATE FUNCTION planned(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
  BEGIN IF $1 IS NULL THEN PERFORM pg_catalog.pg_sleep(60); END IF; RETURN lower($1); END $$;
CREATE TABLE users (id bigint PRIMARY KEY, name text);
INSERT INTO users SELECT n, 'Name ' || n FROM generate_series(1, 1000) AS n"""
# Each kept busy for longer than anybody waits, in sessions of their own.
_SPECS = {
    "a look while planning": "[add_column: {table: users, column: lowered, type: text, up: planned(name)}]",
    "DDL": "[sql: {up: SELECT pg_sleep(600)}]",
    "a batch of a backfill": "[add_column: {table: users, column: lowered, type: text, up: slowly(name)}]",
    "a concurrent build of an index": "[create_index: {table: users, name: slow, columns: [expression: slowly(name)]}]",
    "a gate's query": "[add_column: {table: users, column: mail, type: text}]\n"
    "gates: {validate: {before: [sql: SELECT pg_sleep(600) IS NULL]}}",
}
_BUSY = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND wait_event = 'PgSleep' AND state = 'active' AND pid <> pg_backend_pid()"""
_BEGINS_WITHIN = 120.0  # seconds
_LOOKS_AGAIN = 0.005  # seconds


def cancelling(server: LocalServer, runs: int) -> Iterator[Group]:
    """From the call that Dagster's pages make, to the end of the statement on the server."""
    prepare(server, "users", _TABLE)
    ways = [Way(name, _cancel(fresh(server, "users"), spec, runs), 1.0) for name, spec in _SPECS.items()]
    yield Group("cancelled in Dagster: its statement ends", "s", tuple(ways), better="lower", compared=False)


def _cancel(url: str, changes: str, runs: int) -> tuple[float, ...]:
    with project(url, f"changes: {changes}\n") as root, psycopg.connect(url, autocommit=True) as observer:
        dev = DevServer(root)
        try:
            return tuple(_once(dev, observer) for _ in range(runs))
        finally:
            dev.stop()


def _once(dev: DevServer, observer: psycopg.Connection) -> float:
    run = dev.web.launch(*(f"app/bench/{leg}" for leg in ("expand", "backfill", "validate")))
    assert wait_until(lambda: _is_busy(observer), seconds=_BEGINS_WITHIN)
    began = time.monotonic()
    dev.web.cancel(run)
    while _is_busy(observer):
        time.sleep(_LOOKS_AGAIN)
    took = time.monotonic() - began
    assert wait_until(lambda: dev.web.statuses("bench")[-1] == "CANCELED", seconds=_BEGINS_WITHIN)
    return took


def _is_busy(observer: psycopg.Connection) -> bool:
    row = observer.execute(_BUSY.encode()).fetchone()
    assert row is not None
    return bool(row[0])
