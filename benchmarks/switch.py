"""For how long clients wait while all of them are switched to another database, beside a pgbench through PgBouncer."""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.execute.pgbouncer import pgbouncer
from tests.execute.writers import Write, Writers
from tests.scene import Scene

from benchmarks.measured import Group, Way
from benchmarks.place import SETTINGS, prepare
from crossfade.execute.notice import StepFinished
from crossfade.server import start_local
from crossfade.steps.step import Switch

_TABLE = "CREATE TABLE users (id bigint PRIMARY KEY, name text, seen int NOT NULL)"
_ROWS = "INSERT INTO users SELECT n, 'Name ' || n, 0 FROM generate_series(1, {rows}) AS n"
_CLIENTS = 8
_SETTINGS = SETTINGS | {"wal_level": "logical"}
_SPEC = """
changes: [{{switch_database: {{to: green, pooler: {{admin: env:CONSOLE_URL, database: pooled, file: {file}}}}}}}]
contract: {{stages: [{{archive: {{}}}}]}}
"""


def switching(rows: int, runs: int) -> Iterator[Group]:
    """There and back `runs` times, under clients that update all the time."""
    with (
        start_local(settings=_SETTINGS) as blue,
        start_local(settings=_SETTINGS) as green,
        tempfile.TemporaryDirectory(dir="/tmp") as folder,
    ):
        prepare(blue, "blue", f"{_TABLE}; {_ROWS.format(rows=rows)}")
        prepare(green, "green", _TABLE)
        with psycopg.connect(green.url, autocommit=True) as administrator:  # the entry's user logs in at both
            password = conninfo_to_dict(blue.url)["password"]
            administrator.execute(sql.SQL("ALTER ROLE postgres PASSWORD {}").format(sql.Literal(password)))
        urls = {
            "blue": blue.database_url("blue"),
            "green": make_conninfo(green.database_url("green"), password=password),
        }
        place = Path(folder)
        place.chmod(0o755)
        with pgbouncer(urls["blue"], place, "transaction") as pooled:
            os.environ["CONSOLE_URL"] = os.path.dirname(pooled) + "/pgbouncer"
            scene = Scene(place, urls, os.environ.__setitem__)
            scene.spec(_SPEC.format(file=place / "pgbouncer.ini"))
            scene.up(through="validate")
            with Writers(lambda: _client(pooled), *[_write(rows)] * _CLIENTS, pause=0.0) as writers:
                time.sleep(5)
                usual = writers.longest
                for _ in range(runs):
                    scene.up(through="cutover")
                    scene.rollback(to="validate")
    held = tuple(notice.held for notice in scene.seen(StepFinished) if isinstance(notice.step, Switch))
    yield Group(
        f"{len(held)} switches under {_CLIENTS} clients, {len(writers.failures)} of {writers.statements:,} statements"
        " failed",
        "s",
        (
            Way("clients are held back", held, 2.0),
            Way("longest statement of a client, before any switch", (usual,)),
            Way("longest statement of a client", (writers.longest,)),
        ),
        better="lower",
        compared=False,
    )


def _client(pooled: str) -> psycopg.Connection:
    return psycopg.connect(pooled, autocommit=True, prepare_threshold=None, application_name="app")


def _write(rows: int) -> Write:
    def write(client: psycopg.Connection, dice: random.Random, _number: int) -> None:
        client.execute("UPDATE users SET seen = seen + 1 WHERE id = %s", (dice.randint(1, rows),))

    return write
