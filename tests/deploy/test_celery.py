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
from dagster import DagsterInstance, DagsterRun, RunsFilter
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
CREATE OR REPLACE FUNCTION slow(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN PERFORM pg_catalog.pg_sleep(0.02); RETURN upper($1); END $$"""
AT_ONCE = """
CREATE OR REPLACE FUNCTION slow(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN upper($1); END $$"""
SPEC = """\
changes:
  - add_column: {table: items, column: code, type: text, up: slow(name)}
gates: {contract: [{soak: 7d}]}
"""
WRITTEN = "SELECT sum(rows) FROM crossfade.step WHERE leg = 'backfill'"
HELD = "SELECT count(*) FROM crossfade.migration WHERE holder IS NOT NULL"

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(600)]


def worker(name: str, log: Path) -> ProcessGroup:
    """A Celery worker with two processes for runs: a machine, which dies as a whole."""
    command = [sys.executable, "-m", "celery", "-A", "dagster_celery.app", "worker", "-n", f"{name}@%h", "-c", "2"]
    path = f"{os.environ['PYTHONPATH']}{os.pathsep}{CELERY}"
    return ProcessGroup(command, environment={"PYTHONPATH": path}, log=log)


def daemon(log: Path) -> ProcessGroup:
    """With its code location."""
    return ProcessGroup([sys.executable, "-m", "dagster._daemon", "run", "-w", str(ROOT / "workspace.yaml")], log=log)


@dataclass
class Redis:
    """One that remembers nothing when it is started again."""

    port: int
    log: Path

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        own = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", "/"]
        self._process = ProcessGroup(own, log=self.log)

    def kill(self) -> None:
        self._process.kill()


@dataclass
class Cluster:
    instance: DagsterInstance
    workers: list[ProcessGroup]
    daemon: ProcessGroup
    redis: Redis
    log: Path

    def restart_daemon(self) -> None:
        self.daemon.kill()
        self.daemon = daemon(self.log)

    def backfills(self) -> list[DagsterRun]:
        """Runs of the leg, oldest first."""
        return [*reversed(self.instance.get_runs(RunsFilter(tags={"crossfade/leg": "backfill"})))]

    def looks(self) -> int:
        """How often the sensor that requests runs has looked."""
        ticks = [
            tick
            for state in self.instance.all_instigator_state()
            if state.name == "advance_migrations"
            for tick in self.instance.get_ticks(state.instigator_origin_id, state.selector_id)
        ]
        return len(ticks)

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
    if shutil.which("redis-server") is None:
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
    redis = Redis(port, tmp_path / "redis.log")
    stack.callback(redis.kill)
    # Whose tables are made by the first who asks, not by three at once.
    instance = stack.enter_context(DagsterInstance.get())
    workers = [worker(name, tmp_path / f"{name}.log") for name in ("one", "two")]
    for each in workers:
        stack.callback(each.kill)
    log = tmp_path / "daemon.log"
    made = Cluster(instance, workers, daemon(log), redis, log)
    stack.callback(lambda: made.daemon.kill())
    return made


@pytest.fixture
def walking(scene: Scene, cluster: Cluster) -> DagsterRun:
    """A backfill on one of the workers, in the middle of its rows."""
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL)")
    scene.sql(f"INSERT INTO items SELECT i, repeat('x', 400) || i FROM generate_series(1, {ROWS}) AS i")
    scene.sql(SLOW)
    scene.spec(SPEC)
    scene.up(through="expand")
    assert wait_until(lambda: 0 < walked(scene) < ROWS, seconds=240)
    (run,) = cluster.backfills()
    return run


def test_another_worker_goes_on_where_a_killed_one_stopped(scene: Scene, cluster: Cluster, walking: DagsterRun) -> None:
    killed = cluster.worker_of(walking)
    assert killed is not None

    killed.kill()
    began, before = time.monotonic(), walked(scene)
    assert wait_until(lambda: passed(scene) >= {"backfill", "validate"}, seconds=300)
    print(f"killed at {before} of {ROWS} rows; both legs over after {time.monotonic() - began:.0f} s")  # noqa: T201

    assert wait_until(lambda: ends(cluster) == ["FAILURE", "SUCCESS"], seconds=60), ends(cluster)
    assert cluster.worker_of(cluster.backfills()[1]) not in (None, killed)
    assert 0 < before < ROWS
    assert_mapped_once(scene)


def test_a_run_that_is_cancelled_stays_so(scene: Scene, cluster: Cluster, walking: DagsterRun) -> None:
    cluster.instance.run_coordinator.cancel_run(walking.run_id)

    assert wait_until(lambda: ends(cluster)[0] not in ("STARTED", "CANCELING"), seconds=120)
    assert wait_until(lambda: scene.one(HELD) == 0, seconds=60)
    before = walked(scene)
    scene.sql(AT_ONCE)
    looks = cluster.looks()
    assert wait_until(lambda: cluster.looks() > looks + 1, seconds=240)

    assert ends(cluster) == ["CANCELED"]
    assert 0 < before < ROWS
    assert walked(scene) == before


@pytest.mark.usefixtures("walking")
def test_a_run_outlives_the_daemon(scene: Scene, cluster: Cluster) -> None:
    cluster.restart_daemon()
    before = walked(scene)
    scene.sql(AT_ONCE)

    assert wait_until(lambda: passed(scene) >= {"backfill", "validate"}, seconds=240)
    assert wait_until(lambda: ends(cluster) == ["SUCCESS"], seconds=60), ends(cluster)
    assert 0 < before < ROWS
    assert_mapped_once(scene)


@pytest.mark.usefixtures("walking")
def test_a_run_outlives_redis_and_the_workers_come_back_to_it(scene: Scene, cluster: Cluster) -> None:
    cluster.redis.kill()
    before = walked(scene)
    assert wait_until(lambda: walked(scene) > before, seconds=60)
    cluster.redis.start()
    scene.sql(AT_ONCE)

    assert wait_until(lambda: passed(scene) >= {"backfill", "validate"}, seconds=240)
    assert wait_until(lambda: ends(cluster) == ["SUCCESS"], seconds=60), ends(cluster)
    assert 0 < before < ROWS
    assert_mapped_once(scene)


def test_a_run_that_is_launched_while_redis_is_away_is_done_when_that_is_back(scene: Scene, cluster: Cluster) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL)")
    scene.sql("INSERT INTO items SELECT i, 'name ' || i FROM generate_series(1, 10) AS i")
    scene.sql(AT_ONCE)
    scene.spec(SPEC)
    cluster.redis.kill()
    scene.up(through="expand")
    assert wait_until(cluster.backfills, seconds=120)
    assert wait_until(lambda: "FAILURE" in ends(cluster) or "STARTING" in ends(cluster), seconds=120), ends(cluster)
    assert passed(scene) == {"expand"}
    cluster.redis.start()

    assert wait_until(lambda: passed(scene) >= {"backfill", "validate"}, seconds=300), ends(cluster)
    assert ends(cluster)[-1] == "SUCCESS"


def ends(cluster: Cluster) -> list[str]:
    """What became of the runs of backfill, oldest first."""
    return [run.status.value for run in cluster.backfills()]


def assert_mapped_once(scene: Scene) -> None:
    assert scene.one(WRITTEN) == ROWS
    assert scene.one("SELECT count(*) FROM items WHERE code IS DISTINCT FROM upper(name)") == 0


def walked(scene: Scene) -> int:
    return int(scene.one("SELECT count(*) FROM items WHERE code IS NOT NULL"))


def passed(scene: Scene) -> set[str]:
    return {leg for (leg,) in scene.sql("SELECT leg FROM crossfade.leg WHERE passed_at IS NOT NULL")}
