"""deploy/systemd: the daemon and the webserver, each killed alone while a walk goes on.

Real processes throughout: `make deploy-test`, no part of `make test`.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml
from dagster import DagsterInstance
from psycopg.conninfo import conninfo_to_dict
from tests.conftest import Databases
from tests.execute.slow import AT_ONCE, slow_items
from tests.orchestrate.orchestra import wait_until
from tests.orchestrate.webserver import Webserver
from tests.process_group import ProcessGroup, held_port
from tests.scene import Scene

ROOT = Path(__file__).parents[2]
ROWS = 20_000
FILL = """
changes: [{add_column: {table: items, column: lowered, type: text, up: slowly(name)}}]
backfill: {workers: 1, target: 50ms}
gates: {validate: {before: [{soak: 7d}]}}
"""
WALKED = "SELECT coalesce(sum(rows), 0) FROM crossfade.progress"
UNMAPPED = "SELECT count(*) FROM items WHERE lowered IS DISTINCT FROM lower(name)"
DONE_TWICE = """
SELECT count(*) FROM (SELECT FROM crossfade.event WHERE kind = 'step done'
                       GROUP BY body ->> 'step' HAVING count(*) > 1) AS twice"""

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(600)]


class Units:
    """The two units of deploy/systemd, started as their files say. `start` is also what `Restart=always` does."""

    def __init__(self, root: Path, port: int, log: Path) -> None:
        self.web = Webserver(f"http://127.0.0.1:{port}")
        self._root, self._port, self._log = root, port, log
        self._running: dict[str, ProcessGroup] = {}
        self._orphaned: list[ProcessGroup] = []

    def start(self, unit: str) -> None:
        text = (ROOT / "deploy" / "systemd" / f"crossfade-{unit}.service").read_text()
        (called,) = re.findall(r"^ExecStart=(\S+)(.*)", text, re.MULTILINE)
        arguments = called[1].replace("%i", str(self._port)).replace("/srv/crossfade", str(self._root))
        program = Path(sys.executable).parent / Path(called[0]).name
        command = [str(program), *(each for each in arguments.split() if not each.startswith("$"))]
        self._running[unit] = ProcessGroup(command, folder=self._root, log=self._log / f"{unit}.log")

    def kill_only(self, unit: str) -> None:
        """SIGKILL for its main process; what that has started is left alone."""
        self._running[unit].send(signal.SIGKILL)
        self._orphaned.append(self._running.pop(unit))

    def kill_main(self, unit: str) -> None:
        """SIGKILL for its main process; what that has started is then asked to end, as systemd does."""
        self._running[unit].send(signal.SIGKILL)
        self._running[unit].stop_all()

    def stop(self, unit: str) -> None:
        """As `systemctl stop`: SIGTERM for all."""
        self._running[unit].stop_all()

    def end(self) -> None:
        for running in [*self._running.values(), *self._orphaned]:
            running.kill()


End = Callable[[Units, str], None]


@pytest.fixture
def units(scene: Scene, databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Units]:
    """Both, over the scene's project: DAGSTER_HOME is that of deploy/celery without its launcher, as the docs say."""
    scene.sql(slow_items(ROWS))
    scene.spec(FILL)
    scene.spec("changes: [{add_column: {table: items, column: note, type: text}}]", id="other")
    (scene.root / "workspace.yaml").write_text((ROOT / "workspace.yaml").read_text())
    settings = yaml.safe_load((ROOT / "deploy" / "celery" / "dagster.yaml").read_text())
    del settings["run_launcher"]
    (home := tmp_path / "dagster").mkdir()
    (home / "dagster.yaml").write_text(yaml.safe_dump(settings))
    storage = conninfo_to_dict(databases("dagster")[0])
    for name, value in {
        "DAGSTER_HOME": str(home),
        "DAGSTER_POSTGRES_HOST": str(storage["host"]),
        "DAGSTER_POSTGRES_PORT": str(storage["port"]),
        "DAGSTER_POSTGRES_DB": str(storage["dbname"]),
        "DAGSTER_POSTGRES_USER": str(storage["user"]),
        "DAGSTER_POSTGRES_PASSWORD": str(storage.get("password", "")),
        "CROSSFADE_PROJECT": str(scene.root),
        "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)),
    }.items():
        monkeypatch.setenv(name, value)
    with ExitStack() as stack:
        # Whose tables are made by the first who asks, not by both at once.
        stack.enter_context(DagsterInstance.get())
        made = Units(scene.root, stack.enter_context(held_port()), tmp_path)
        stack.callback(made.end)
        made.start("daemon")
        made.start("webserver@")
        assert wait_until(made.web.assets, seconds=240)
        yield made


def begin_to_fill(scene: Scene, units: Units) -> None:
    units.web.launch("app/m/expand", "app/m/backfill")
    assert wait_until(lambda: scene.one("SELECT to_regclass('crossfade.progress')") is not None, seconds=240)
    assert wait_until(lambda: scene.one(WALKED) > 0, seconds=240)


def assert_filled_once(scene: Scene) -> None:
    assert scene.one(UNMAPPED) == 0
    assert scene.one(WALKED) == ROWS
    assert scene.one(DONE_TWICE) == 0


def test_a_killed_webserver_tells_the_truth_when_it_is_back(scene: Scene, units: Units) -> None:
    begin_to_fill(scene, units)

    units.kill_main("webserver@")
    walked = scene.one(WALKED)
    assert wait_until(lambda: scene.one(WALKED) > walked, seconds=60)
    units.start("webserver@")
    assert wait_until(units.web.assets, seconds=240)
    meanwhile = units.web.statuses("m")
    scene.sql(AT_ONCE)

    assert wait_until(lambda: units.web.statuses("m") == ["SUCCESS"], seconds=240), units.web.statuses("m")
    assert meanwhile == ["STARTED"]
    assert len(units.web.materializations("app/m/backfill")) == 1
    assert_filled_once(scene)


def test_a_run_outlives_a_daemon_that_is_killed_alone(scene: Scene, units: Units) -> None:
    begin_to_fill(scene, units)

    units.kill_only("daemon")
    units.start("daemon")
    waiting = units.web.launch("app/other/expand")
    scene.sql(AT_ONCE)

    assert wait_until(lambda: units.web.statuses("m") == ["SUCCESS"], seconds=240), units.web.statuses("m")
    assert wait_until(lambda: units.web.statuses("other") == ["SUCCESS"], seconds=240), waiting
    assert len(units.web.materializations("app/m/backfill")) == 1
    assert_filled_once(scene)


@pytest.mark.parametrize("end", [Units.kill_main, Units.stop])
def test_what_ends_with_the_daemons_unit_is_run_again(scene: Scene, units: Units, end: End) -> None:
    begin_to_fill(scene, units)

    end(units, "daemon")
    walked = scene.one(WALKED)
    scene.sql(AT_ONCE)
    units.start("daemon")

    def is_told() -> bool:
        first, *others = units.web.statuses("m")
        return first == "FAILURE" and others != [] and {*others} == {"SUCCESS"}

    assert wait_until(is_told, seconds=240), units.web.statuses("m")
    assert 0 < walked < ROWS
    assert units.web.materializations("app/m/backfill")
    assert_filled_once(scene)
