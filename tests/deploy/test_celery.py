"""deploy/celery: runs on two Celery workers, with Redis between them and Dagster's state in PostgreSQL.

Real processes throughout, which take minutes: `make deploy-test`, no part of `make test`.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter
from psycopg.conninfo import conninfo_to_dict
from tests.conftest import Databases
from tests.orchestrate.dev_server import process_of
from tests.orchestrate.orchestra import wait_until
from tests.process_group import ProcessGroup, held_port
from tests.scene import Scene

ROOT = Path(__file__).parents[2]
CELERY = ROOT / "deploy" / "celery"
ROWS = 1000
# So slow that there is time to kill a worker in the middle of the walk.
SLOW = """
CREATE FUNCTION slow(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN PERFORM pg_catalog.pg_sleep(0.02); RETURN upper($1); END $$"""
SPEC = """\
changes:
  - add_column: {table: items, column: code, type: text, up: slow(name)}
gates: {contract: [{soak: 7d}]}
"""
WRITTEN = "SELECT sum(rows) FROM crossfade.step WHERE leg = 'backfill'"


def worker(name: str, log: Path) -> ProcessGroup:
    """A Celery worker with two processes for runs: a machine, which dies as a whole."""
    command = [sys.executable, "-m", "celery", "-A", "dagster_celery.app", "worker", "-n", f"{name}@%h", "-c", "2"]
    path = f"{os.environ['PYTHONPATH']}{os.pathsep}{CELERY}"
    return ProcessGroup(command, environment={"PYTHONPATH": path}, log=log)


@dataclass(frozen=True)
class Cluster:
    instance: DagsterInstance
    workers: list[ProcessGroup]

    def backfills(self) -> list[DagsterRun]:
        """Runs of the leg, oldest first."""
        return [*reversed(self.instance.get_runs(RunsFilter(tags={"crossfade/leg": "backfill"})))]

    def worker_of(self, run: DagsterRun) -> ProcessGroup | None:
        """By the process that says it has begun."""
        pid = process_of(self.instance, run.run_id)
        return next((worker for worker in self.workers if worker.holds(pid)), None)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def cluster(
    scene: Scene, databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stack: ExitStack
) -> Cluster:
    """Redis, a daemon with its code location, and two workers, for the scene's project."""
    redis = shutil.which("redis-server")
    if redis is None:
        pytest.skip("needs redis-server (Debian: apt-get install redis-server)")
    (home := tmp_path / "dagster").mkdir()
    shutil.copy(CELERY / "dagster.yaml", home)
    storage = conninfo_to_dict(databases("dagster")[0])
    port = stack.enter_context(held_port())
    broker = f"redis://127.0.0.1:{port}/0"
    for name, value in {
        "DAGSTER_HOME": str(home),
        "DAGSTER_POSTGRES_HOST": str(storage["host"]),
        "DAGSTER_POSTGRES_PORT": str(storage["port"]),
        "DAGSTER_POSTGRES_DB": str(storage["dbname"]),
        "DAGSTER_POSTGRES_USER": str(storage["user"]),
        "DAGSTER_POSTGRES_PASSWORD": str(storage.get("password", "")),
        "CELERY_BROKER_URL": broker,
        "CELERY_RESULT_BACKEND": broker,
        "CROSSFADE_PROJECT": str(scene.root),
        "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)),
    }.items():
        monkeypatch.setenv(name, value)
    own = [redis, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    stack.callback(ProcessGroup(own, log=tmp_path / "redis.log").kill)
    # Whose tables are made by the first who asks, not by three at once.
    instance = stack.enter_context(DagsterInstance.get())
    workers = [worker(name, tmp_path / f"{name}.log") for name in ("one", "two")]
    for each in workers:
        stack.callback(each.kill)
    daemon = [sys.executable, "-m", "dagster._daemon", "run", "-w", str(ROOT / "workspace.yaml")]
    stack.callback(ProcessGroup(daemon, log=tmp_path / "daemon.log").stop)
    return Cluster(instance, workers)


@pytest.mark.deploy
@pytest.mark.timeout(600)
def test_another_worker_goes_on_where_a_killed_one_stopped(scene: Scene, cluster: Cluster) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL)")
    scene.sql(f"INSERT INTO items SELECT i, repeat('x', 400) || i FROM generate_series(1, {ROWS}) AS i")
    scene.sql(SLOW)
    scene.spec(SPEC)
    scene.up(through="expand")

    assert wait_until(lambda: 0 < walked(scene) < ROWS, seconds=240)
    (first,) = cluster.backfills()
    killed = cluster.worker_of(first)
    assert killed is not None
    killed.kill()
    began, before = time.monotonic(), walked(scene)
    assert wait_until(lambda: passed(scene) >= {"backfill", "validate"}, seconds=300)
    print(f"killed at {before} of {ROWS} rows; both legs over after {time.monotonic() - began:.0f} s")  # noqa: T201

    ends = (DagsterRunStatus.FAILURE, DagsterRunStatus.SUCCESS)
    assert wait_until(lambda: tuple(run.status for run in cluster.backfills()) == ends, seconds=60)
    second = cluster.backfills()[1]
    assert cluster.worker_of(second) not in (None, killed)
    assert 0 < before < ROWS
    assert scene.one(WRITTEN) == ROWS
    assert scene.one("SELECT count(*) FROM items WHERE code IS DISTINCT FROM upper(name)") == 0


def walked(scene: Scene) -> int:
    return int(scene.one("SELECT count(*) FROM items WHERE code IS NOT NULL"))


def passed(scene: Scene) -> set[str]:
    return {leg for (leg,) in scene.sql("SELECT leg FROM crossfade.leg WHERE passed_at IS NOT NULL")}
