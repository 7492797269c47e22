"""What the tests start ends with them, and listens where nobody else does."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tests.orchestrate.orchestra import wait_until
from tests.process_group import ProcessGroup, held_port

# A child that starts another one; it tells both.
_PARENT = "sleep 600 & echo $! $$ > started.new; mv started.new started; wait"
_TESTS = """
import sys, time
from pathlib import Path
from tests.process_group import ProcessGroup
group = ProcessGroup(["sh", "-c", sys.argv[1]], folder=Path(sys.argv[2]))
time.sleep(600)
"""


def lives(pid: int) -> bool:
    """Whether it runs; one that has ended and that nobody has asked for does not."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def started(folder: Path) -> list[int]:
    assert wait_until((folder / "started").exists, seconds=60)
    return [int(pid) for pid in (folder / "started").read_text().split()]


def test_a_killed_group_leaves_no_descendant(tmp_path: Path) -> None:
    group = ProcessGroup(["sh", "-c", _PARENT], folder=tmp_path)
    pids = started(tmp_path)

    group.kill()

    assert wait_until(lambda: not any(map(lives, pids)), seconds=60)


def test_a_group_ends_with_tests_that_are_killed(tmp_path: Path) -> None:
    path = {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    tests = subprocess.Popen([sys.executable, "-c", _TESTS, _PARENT, str(tmp_path)], env=os.environ | path)
    pids = started(tmp_path)

    tests.send_signal(signal.SIGKILL)
    tests.wait()

    assert wait_until(lambda: not any(map(lives, pids)), seconds=60)


def test_a_server_listens_on_a_held_port() -> None:
    with held_port() as port, socket.create_server(("127.0.0.1", port)) as server:
        assert server.getsockname()[1] == port
