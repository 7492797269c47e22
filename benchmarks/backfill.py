"""Backfill against one plain UPDATE of the same table, in the same run: `python benchmarks/backfill.py [ROWS]`.

Prints rows a second and the ratio to the UPDATE, median of three. docs/performance.md says what it means.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from crossfade.changes import CHANGES
from crossfade.execute import Runner, StepFinished
from crossfade.gates import GATES
from crossfade.server import Server, start
from crossfade.spec import load_project

RUNS = 3
TABLE = """
CREATE TABLE items (id bigint PRIMARY KEY, name text NOT NULL, amount integer NOT NULL, filler text NOT NULL);
INSERT INTO items SELECT i, 'Name ' || i, i % 1000, repeat('x', 80) FROM generate_series(1, {rows}) AS i;
"""
SPEC = """
crossfade: 1
migration: fill
title: fill
database: app
changes: [{{add_column: {{table: items, column: lowered, type: text, up: lower(name)}}}}]
backfill: {{workers: {workers}}}
"""


def fresh(server: Server, rows: int) -> str:
    server.drop_database("bench")
    url = server.create_database("bench")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(TABLE.format(rows=rows).encode())
        connection.execute("VACUUM ANALYZE items")
        connection.execute("CHECKPOINT")
    return url


def plain_update(server: Server, rows: int) -> float:
    with psycopg.connect(fresh(server, rows), autocommit=True) as connection:
        connection.execute("ALTER TABLE items ADD COLUMN lowered text")
        began = time.monotonic()
        connection.execute("UPDATE items SET lowered = lower(name)")
        return rows / (time.monotonic() - began)


def backfill(server: Server, rows: int, workers: int) -> float:
    os.environ["APP_URL"] = fresh(server, rows)
    finished: list[StepFinished] = []

    def listen(notice: object) -> None:
        if isinstance(notice, StepFinished) and notice.step.kind == "walk":
            finished.append(notice)

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "databases.yaml").write_text("app: {url: env:APP_URL}\n")
        (root / "migration_specs").mkdir()
        (root / "migration_specs" / "fill.yaml").write_text(SPEC.format(workers=workers))
        project = load_project(root, changes=CHANGES, gates=GATES)
        Runner(project, listen).advance(project.migrations[0], through="backfill")
    return rows / finished[0].seconds


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    found: dict[str, list[float]] = {"one UPDATE": [], "1 worker": [], "2 workers": []}
    with start() as server:
        server.create_database("bench")
        for _ in range(RUNS):
            found["one UPDATE"].append(plain_update(server, rows))
            found["1 worker"].append(backfill(server, rows, 1))
            found["2 workers"].append(backfill(server, rows, 2))
    base = statistics.median(found["one UPDATE"])
    print(f"{rows:,} rows, {os.cpu_count()} cores, median of {RUNS}")
    for name, rates in found.items():
        print(f"  {name:12} {statistics.median(rates):>10,.0f} rows/s   {statistics.median(rates) / base:.2f}")


if __name__ == "__main__":
    main()
