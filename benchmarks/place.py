"""Where benchmarks run: a durable server of its own, databases copied from a prepared one, and specs on them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from crossfade.changes import CHANGES
from crossfade.execute import Notice, Runner, StepFinished
from crossfade.gates import GATES
from crossfade.plan import Plan
from crossfade.server import LocalServer, start_local
from crossfade.spec import load_project

# As an administrator would set them; no checkpoint and no autovacuum falls into one way's run and not into another's.
SETTINGS = {
    "fsync": "on",
    "shared_buffers": "1GB",
    "max_wal_size": "16GB",
    "checkpoint_timeout": "1h",
    "wal_level": "replica",
    "autovacuum": "off",
}
HEAD = "crossfade: 1\nmigration: bench\ntitle: bench\ndatabase: app\n"


@contextmanager
def server() -> Generator[LocalServer]:
    with start_local(settings=SETTINGS) as started:
        yield started


def prepare(on: LocalServer, name: str, script: str) -> None:
    """A database to copy, vacuumed and with its hint bits set."""
    with psycopg.connect(on.create_database(name), autocommit=True) as connection:
        connection.execute(script.encode())
        connection.execute("VACUUM (ANALYZE, FREEZE)")


def fresh(on: LocalServer, template: str) -> str:
    """A copy of the prepared database, with nothing left to be written out; gives its URL."""
    on.drop_database("bench")
    url = on.create_database("bench", template=template)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
    return url


@contextmanager
def project(url: str, body: str) -> Generator[Path]:
    """A project of one spec on the database at `url`; `body` is what follows the spec's head."""
    os.environ["APP_URL"] = url
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "databases.yaml").write_text("app: {url: env:APP_URL}\n")
        (root / "migration_specs").mkdir()
        (root / "migration_specs" / "bench.yaml").write_text(HEAD + body)
        yield root


def crossfade(root: Path, *arguments: str) -> str:
    """Call the command line as a person does, in the project; gives what it prints."""
    program = Path(sys.executable).parent / "crossfade"
    return subprocess.run([program, *arguments], cwd=root, check=True, capture_output=True, text=True).stdout


def advance(root: Path, *, through: str | None = None) -> list[StepFinished]:
    """Run the project's migration; gives the steps that were done."""
    finished: list[StepFinished] = []

    def listen(notice: Notice) -> None:
        if isinstance(notice, StepFinished):
            finished.append(notice)

    found = load_project(root, changes=CHANGES, gates=GATES)
    Runner(found, listen).advance(found.migrations[0], through=through)
    return finished


def plan(root: Path) -> Plan:
    """The plan of the project's migration."""
    found = load_project(root, changes=CHANGES, gates=GATES)
    return Runner(found).plan(found.migrations[0])


def walks(finished: list[StepFinished]) -> list[StepFinished]:
    """Those that walked over rows."""
    return [each for each in finished if each.step.kind == "walk"]
