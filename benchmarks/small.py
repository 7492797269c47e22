"""What everything costs that is not rows: a whole migration of an empty table, a step, the runner's memory."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator

import psycopg

from benchmarks.backfill import SHAPES
from benchmarks.backfill import SPEC as FILL
from benchmarks.measured import Group, Way
from benchmarks.place import advance, crossfade, fresh, prepare, project
from crossfade.server import LocalServer

EMPTY = "CREATE TABLE items (id bigint PRIMARY KEY, name text)"
WHOLE = """
changes:
  - add_column: {table: items, column: state, type: text, nullable: false, default: "'new'"}
  - create_index: {table: items, name: items_state, columns: [state]}
"""
TABLES = 40


def whole_migration(server: LocalServer, runs: int) -> Iterator[Group]:
    """`crossfade up` as a person types it, process start and ledger included."""
    prepare(server, "empty", EMPTY)
    first: list[float] = []
    ready: list[float] = []
    for _ in range(runs):
        url = fresh(server, "empty")
        with project(url, WHOLE) as root:
            began = time.monotonic()
            crossfade(root, "up", "--yes")
            first.append(time.monotonic() - began)
            began = time.monotonic()
            crossfade(root, "status")
            ready.append(time.monotonic() - began)
    server.drop_database("empty")
    yield Group(
        "from the command line: add a column, not null, with an index, on an empty table",
        "s",
        (Way("crossfade up", tuple(first), 1.0), Way("crossfade status", tuple(ready))),
        better="lower",
        compared=False,
    )


def step_overhead(server: LocalServer, runs: int) -> Iterator[Group]:
    """Milliseconds a step takes beyond its own statement, over a migration of many small steps."""
    body = "changes:\n" + "".join(
        f"  - create_table: {{table: t{n}, columns: [{{name: id, type: bigint}}], primary_key: [id]}}\n"
        for n in range(TABLES)
    )
    prepare(server, "empty", EMPTY)
    ours: list[float] = []
    bare: list[float] = []
    for _ in range(runs):
        with psycopg.connect(fresh(server, "empty"), autocommit=True) as connection:
            began = time.monotonic()
            for n in range(TABLES):
                connection.execute(f"CREATE TABLE t{n} (id bigint PRIMARY KEY)".encode())
            bare.append((time.monotonic() - began) * 1000 / TABLES)
        with project(fresh(server, "empty"), body) as root:
            finished = advance(root)
        ours.append(sum(step.seconds for step in finished) * 1000 / len(finished))
    server.drop_database("empty")
    added = tuple(mine - plain for mine, plain in zip(ours, bare, strict=True))
    yield Group(
        "a step's own overhead (CREATE TABLE; ledger, lease, events)",
        "ms",
        (Way("statement alone", tuple(bare)), Way("step", tuple(ours)), Way("overhead", added, 10.0)),
        better="lower",
        compared=False,
    )


def memory(server: LocalServer, rows: int) -> Iterator[Group]:
    """The largest resident size of a process that runs a backfill; a tenth of the rows and all of them."""
    ways: list[Way] = []
    for count in (rows // 10, rows):
        prepare(server, "many", SHAPES["bigint"].format(rows=count))
        with project(fresh(server, "many"), FILL.format(workers=2)) as root:
            crossfade(root, "up", "--yes", "--phase", "backfill")
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        ways.append(Way(f"{count:,} rows", (peak,), 150.0))
        server.drop_database("many")
    yield Group("memory of a runner", "MB", tuple(ways), better="lower", compared=False)
