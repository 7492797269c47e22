"""The fixtures all tests share: one server a run, for all workers, and none after it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from .owners import PACKAGE_ROOT, processes_of, settles

TESTS = Path(__file__).parent.parent

SHARING = """
import os
from pathlib import Path

import psycopg
import pytest

@pytest.mark.parametrize("n", range(6))
def test_database(n, database, databases):
    with psycopg.connect(database) as connection:
        row = connection.execute("SELECT current_setting('data_directory'), current_database()").fetchone()
    one, two = databases("one", "two")
    assert len({database, one, two}) == 3
    seen = Path(os.environ["SEEN"])
    (seen / str(n)).write_text(f"{row[0]} {os.getpid()} {row[1]}")
"""

WAITING = """
import os, time
from pathlib import Path

import psycopg

def test_wait(database):
    with psycopg.connect(database) as connection:
        row = connection.execute("SHOW data_directory").fetchone()
    seen = Path(os.environ["SEEN"])
    (seen / "new").write_text(row[0])
    (seen / "new").rename(seen / "told")
    time.sleep(60)
"""

UNNEEDED = """
from pathlib import Path

def test_nothing(pytestconfig):
    from conftest import run_server
    assert run_server not in pytestconfig.stash
"""


@pytest.fixture
def seen(tmp_path: Path) -> Path:
    path = tmp_path / "seen"
    path.mkdir()
    return path


def launch_pytest(tests: str, seen: Path, *options: str) -> subprocess.Popen[str]:
    file = seen.parent / "test_inner.py"
    file.write_text(tests)
    given = ("-q", "-c", os.devnull, "-p", "no:cacheprovider", "-p", "conftest", f"--rootdir={seen.parent}")
    modules = os.pathsep.join((PACKAGE_ROOT, str(TESTS)))
    elsewhere = ("PYTEST_", "CROSSFADE_SERVER_URL", "DOCKER_HOST")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(elsewhere)}
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", *given, *options, str(file)],
        env=inherited | {"PYTHONPATH": modules, "SEEN": str(seen), "DOCKER_HOST": "unix:///nowhere"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize(("options", "processes"), [((), 1), (("-n", "2"), 2)])
def test_a_run_has_one_server_and_leaves_none(options: tuple[str, ...], processes: int, seen: Path) -> None:
    run = launch_pytest(SHARING, seen, *options)

    said, _ = run.communicate(timeout=120)

    assert run.returncode == 0, said
    told = [file.read_text().split() for file in seen.iterdir()]
    directories, workers, names = ({line[column] for line in told} for column in range(3))
    assert len(directories) == 1
    assert len(workers) == processes
    assert len(names) == 6
    (directory,) = directories
    assert not Path(directory).exists()
    assert not processes_of(Path(directory))


@pytest.mark.parametrize("options", [(), ("-n", "2")])
def test_killing_a_run_leaves_no_server(options: tuple[str, ...], seen: Path) -> None:
    run = launch_pytest(WAITING, seen, *options)
    assert settles(lambda: (seen / "told").exists(), 60)
    directory = Path((seen / "told").read_text())

    os.killpg(run.pid, signal.SIGKILL)

    with run:
        pass
    assert settles(lambda: not directory.exists() and not processes_of(directory))


def test_a_run_that_needs_no_server_starts_none(seen: Path) -> None:
    run = launch_pytest(UNNEEDED, seen)

    said, _ = run.communicate(timeout=60)

    assert run.returncode == 0, said
