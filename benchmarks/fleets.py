"""One migration over a fleet of many databases of one server: our own time a member, and the memory we come to hold."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from psycopg import sql

from benchmarks.measured import Group, Way
from benchmarks.place import prepare
from crossfade.changes import CHANGES
from crossfade.execute.fleet import MemberEnded, Rollout
from crossfade.gates import GATES
from crossfade.server import LocalServer
from crossfade.spec import Project, load_project

MEMBERS = 1000
_TABLE = "CREATE TABLE users (id bigint PRIMARY KEY, email text)"
_DATABASES = """\
fleet:
  url: env:FLEET_URL
  each: {databases: "member_*"}
  waves: [{name: canary, share: 1%}, {name: rest}]
"""
_SPEC = """\
crossfade: 1
migration: seen
title: Users say when they were seen
database: fleet
changes: [add_column: {table: users, column: seen, type: timestamptz}]
"""


def whole_fleet(server: LocalServer, members: int = MEMBERS) -> Iterator[Group]:
    """Expand to validate in databases made from a template; the server's own time is not ours."""
    prepare(server, "template_of_fleet", _TABLE)
    with psycopg.connect(server.url, autocommit=True) as connection:
        for number in range(members):
            statement = sql.SQL("CREATE DATABASE {} TEMPLATE template_of_fleet STRATEGY file_copy")
            connection.execute(statement.format(sql.Identifier(f"member_{number:04}")))
    heard: list[MemberEnded] = []
    held: list[float] = []

    def hear(ended: MemberEnded) -> None:
        heard.append(ended)
        held.append(_resident())

    with TemporaryDirectory() as folder:
        project = _project(Path(folder), server.url)
        began, spent = time.monotonic(), time.process_time()
        outcome = Rollout(project, project.of_fleets[0], hear).advance("validate")
        own, whole = time.process_time() - spent, time.monotonic() - began
    assert not outcome.failed, outcome
    yield Group(
        f"a fleet of {members} databases, expand to validate: a member",
        "ms",
        (Way("our own time", (own / members * 1000,), 50), Way("in all", (whole / members * 1000,))),
        better="lower",
        compared=False,
        notes={"members": members},
    )
    early, late = held[len(held) // 5], held[-1]
    yield Group(
        f"a fleet of {members} databases: the coordinator's memory",
        "MB",
        (Way("after a fifth of the members", (early,)), Way("after all", (late,), 1.1)),
        better="lower",
    )


def _project(root: Path, url: str) -> Project:
    os.environ["FLEET_URL"] = url
    (root / "migration_specs").mkdir()
    (root / "databases.yaml").write_text(_DATABASES)
    (root / "migration_specs" / "0001_seen.yaml").write_text(_SPEC)
    return load_project(root, changes=CHANGES, gates=GATES)


def _resident() -> float:
    """MB of memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
