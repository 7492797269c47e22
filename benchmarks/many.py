"""A project of many migrations, and its ledger as it is when most of them are complete or wait for their gates."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.types.json import Jsonb

from crossfade.changes import CHANGES
from crossfade.execute import Runner
from crossfade.gates import GATES
from crossfade.spec import Migration, Project, load_project

TABLE = "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL); INSERT INTO items VALUES (1, 'one')"
SPEC = """\
crossfade: 1
migration: m{number}
title: Lower-case the names of items, part {number}
why: Search must not depend on letter case
owner: team-search
database: app
changes:
  - change_column: {{table: items, column: name, to: {{type: text, nullable: false}}, up: lower(name), down: name}}
gates:
  contract: [{gate}]
"""
SOAK = "{soak: 7d}"
CLOSED = "{sql: SELECT false, title: the door is open}"


@contextmanager
def many(url: str, count: int, *, gate: str = SOAK) -> Generator[Project]:
    """A project of `count` migrations of one table on the database at `url`; none of them has started."""
    os.environ["APP_URL"] = url
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "databases.yaml").write_text("app: {url: env:APP_URL}\n")
        (root / "migration_specs").mkdir()
        for number in range(count):
            spec = SPEC.format(number=number, gate=gate)
            (root / "migration_specs" / f"{number:05}_m{number}.yaml").write_text(spec)
        yield load_project(root, changes=CHANGES, gates=GATES)


def bring_to_contract(url: str, project: Project) -> None:
    """As if each had passed validate, and waited at the gates of its contract. The first one does it; others are told
    of in the ledger alone."""
    first, *others = project.migrations
    Runner(project).advance(first)
    _tell(url, project, others)


def complete(url: str, migrations: Sequence[Migration]) -> None:
    """As if these had been complete for a month."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "UPDATE crossfade.migration SET state = 'complete', finished_at = now() - interval '30 days'"
            " WHERE id = ANY (%s)",
            ([each.id for each in migrations],),
        )


def _tell(url: str, project: Project, others: Sequence[Migration]) -> None:
    model = Runner(project).plan(project.migrations[0])
    rows = [
        (each.id, each.head.title, each.head.owner, each.text, each.digest, Jsonb(plan.model_dump(mode="json")))
        for each in others
        for plan in (model.model_copy(update={"migration": each.id, "spec_digest": each.digest}),)
    ]
    ids = [each.id for each in others]
    with psycopg.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO crossfade.migration (id, title, owner, spec_text, spec_digest, plan, plan_digest)"
            " VALUES (%s, %s, %s, %s, %s, %s, 'of a benchmark')",
            rows,
        )
        for table, columns in (
            ("leg", "leg, started_at, finished_at, passed_at"),
            ("gate", "point, gate, state, reason, holds_at"),
            ("step", "id, leg, state, attempts, started_at, finished_at, rows, detail"),
        ):
            copied = (
                f"INSERT INTO crossfade.{table} (migration, {columns})"
                f" SELECT other, {columns} FROM crossfade.{table}, unnest(%s::text[]) AS other WHERE migration = %s"
            )
            cursor.execute(copied.encode(), (ids, project.migrations[0].id))
        cursor.execute("ANALYZE")
