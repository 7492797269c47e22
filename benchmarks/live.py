"""What programs notice of a whole migration, from expand to drop: failures, waits, and whether a write was lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import LiteralString

import psycopg

from benchmarks.measured import Group, Way
from benchmarks.place import advance, crossfade, fresh, prepare, project, walks
from benchmarks.programs import CLIENTS, Programs, Record
from crossfade.server import LocalServer

ITEMS = """
CREATE TABLE items (id bigint PRIMARY KEY, code text NOT NULL, filler text NOT NULL DEFAULT repeat('x', 80));
INSERT INTO items (id, code) SELECT i, (i % 1000)::text FROM generate_series(1, {rows}) AS i;
CREATE INDEX items_code ON items (code);
"""
BEFORE, DURING = "without a migration", "during the migration"
QUIET = 5.0  # seconds
BLOCKED = 30.0
BLOCKED_ROWS = 100_000


@dataclass(frozen=True)
class Course:
    """A migration of `code`, and the name by which the next version of the programs knows it."""

    title: str
    change: str
    after: str
    check: LiteralString


COURSES = (
    Course(
        "swap of a type under its own name",
        'change_column: {table: items, column: code, to: {type: integer}, up: "code::integer", down: "code::text"}',
        "code",
        "SELECT id, code FROM items",
    ),
    Course(
        "new name",
        "rename_column: {table: items, from: code, to: number}",
        "number",
        "SELECT id, number::integer FROM items",
    ),
)


def live(server: LocalServer, rows: int) -> Iterator[Group]:
    """Five clients write on, the old version first, the new one from validate on."""
    prepare(server, "live", ITEMS.format(rows=rows))
    for course in COURSES:
        url = fresh(server, "live")
        with project(url, f"changes: [{{{course.change}}}]\n") as root, Programs(url, rows, "code") as programs:
            programs.stretch(BEFORE)
            time.sleep(QUIET)
            programs.stretch(DURING)
            began = time.monotonic()
            filled = walks(advance(root, through="validate"))
            programs.write_to(course.after)
            time.sleep(1)
            advance(root)
            seconds = time.monotonic() - began
            record = programs.finish()
        lost, diverged = _compared(url, course.check, rows, record)
        yield Group(
            f"longest wait of {CLIENTS} clients through a migration of {rows:,} rows, expand to drop: {course.title}",
            "ms",
            tuple(Way(name, (record.longest[name] * 1000,)) for name in (BEFORE, DURING)),
            better="lower",
            notes={
                "statements": record.statements,
                "failed": len(record.failures),
                "lost": lost,
                "diverged": diverged,
                "prepared SELECT * refused": record.refused,
                "seconds": round(seconds, 1),
                "backfill, rows/s": round(sum(walk.rows for walk in filled) / sum(walk.seconds for walk in filled)),
            },
        )
    server.drop_database("live")


def blocked(server: LocalServer) -> Iterator[Group]:
    """Another session is idle in a transaction on the table for half a minute; our DDL wants the table."""
    prepare(server, "live", ITEMS.format(rows=BLOCKED_ROWS))
    url = fresh(server, "live")
    with (
        project(url, "changes: [{add_column: {table: items, column: note, type: text}}]\n") as root,
        Programs(url, BLOCKED_ROWS, "code") as programs,
        psycopg.connect(url) as other,
        ThreadPoolExecutor() as pool,
    ):
        programs.stretch(BEFORE)
        time.sleep(QUIET)
        other.execute("SELECT FROM items LIMIT 1")
        programs.stretch(DURING)
        run = pool.submit(advance, root)
        time.sleep(BLOCKED / 2)
        seen = crossfade(root, "status")
        time.sleep(BLOCKED / 2)
        other.rollback()
        finished = run.result()
        record = programs.finish()
    server.drop_database("live")
    timeout = 1000.0  # the default of `locks.timeout`
    yield Group(
        f"longest wait of {CLIENTS} clients while a session idle in transaction blocks DDL for {BLOCKED:.0f} s",
        "ms",
        (
            Way("lock_timeout", (timeout,)),
            Way("before", (record.longest[BEFORE] * 1000,)),
            Way("blocked", (record.longest[DURING] * 1000,), (timeout + 50) / timeout),
        ),
        better="lower",
        notes={
            "statements": record.statements,
            "failed": len(record.failures),
            "attempts": max(step.attempts for step in finished),
            "status": " ".join(line.strip() for line in seen.splitlines() if "idle" in line),
        },
    )


def _compared(url: str, query: LiteralString, rows: int, record: Record) -> tuple[int, int]:
    """Rows that are missing, and rows that are not as they were written last."""
    wanted = {key: key % 1000 for key in range(1, rows + 1)} | record.written
    diverged = 0
    with psycopg.connect(url) as connection, connection.cursor("rows") as cursor:
        for key, value in cursor.execute(query):
            diverged += wanted.pop(key, None) != value
    return len(wanted), diverged
