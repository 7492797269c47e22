"""Whatever is killed, nothing of a server is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .owners import PACKAGE_ROOT, PROGRAM, Owner, ask, end, launch, processes_of, settles


def test_an_owner_that_ends_in_order_leaves_nothing(owner: Owner) -> None:
    assert processes_of(owner.home)
    assert owner.process.stdin

    owner.process.stdin.close()

    assert owner.process.wait(20) == 0
    assert not owner.home.exists()
    assert not processes_of(owner.home)


def test_killing_the_owner_leaves_neither_processes_nor_directory(owner: Owner) -> None:
    owner.process.kill()

    assert owner.server_is_gone()


@pytest.mark.slow
def test_killing_the_owner_while_its_server_starts_leaves_nothing(place: Path) -> None:
    for delay in (0.6, 0.8, 1.0, 1.2):
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "wheel", str(place), "alone"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": PACKAGE_ROOT},
        )
        time.sleep(delay)
        process.kill()
        process.communicate()

        assert settles(lambda: not list(place.iterdir()) and not processes_of(place))


def test_a_forked_child_of_a_killed_owner_does_not_keep_the_server(place: Path) -> None:
    owner = launch(place, forking=True)
    try:
        owner.process.kill()

        assert owner.server_is_gone()
    finally:
        end(owner)


def test_killing_the_guardian_ends_the_server_and_the_owner_removes_the_directory(owner: Owner) -> None:
    assert owner.process.stdin

    os.kill(owner.guardian, signal.SIGKILL)

    assert settles(lambda: not [pid for pid in processes_of(owner.home) if pid != owner.process.pid])
    owner.process.stdin.close()
    assert owner.process.wait(20) == 0
    assert not owner.home.exists()


def test_killing_guardian_and_owner_leaves_no_process_and_a_later_start_removes_the_directory(
    owner: Owner, place: Path
) -> None:
    os.kill(owner.guardian, signal.SIGKILL)
    owner.process.kill()
    assert settles(lambda: not processes_of(owner.home))
    assert owner.home.exists()

    an_hour_ago = time.time() - 3600
    os.utime(owner.home, (an_hour_ago, an_hour_ago))
    later = launch(place)

    assert not owner.home.exists()
    end(later)
    assert later.server_is_gone()


def test_a_terminate_signal_to_the_guardian_stops_the_server_in_order(owner: Owner) -> None:
    os.kill(owner.guardian, signal.SIGTERM)

    assert owner.server_is_gone()


def test_ctrl_c_reaches_the_owner_and_not_its_server(place: Path) -> None:
    program = """
import os, signal, sys
from pathlib import Path
from crossfade.server import start_local
with start_local("wheel", parent=Path(sys.argv[1])) as server:
    try:
        os.killpg(0, signal.SIGINT)
    except KeyboardInterrupt:
        server.create_database("still_there")
"""
    command = [sys.executable, "-c", program, str(place)]
    environment = os.environ | {"PYTHONPATH": PACKAGE_ROOT}

    ended = subprocess.run(command, env=environment, start_new_session=True, timeout=60, check=False)

    assert ended.returncode == 0
    assert not list(place.iterdir())


def test_a_server_of_the_parent_is_not_stopped_by_its_forked_child(place: Path) -> None:
    program = """
import os, sys
from pathlib import Path
from crossfade.server import start_local
server = start_local("wheel", parent=Path(sys.argv[1]))
if os.fork() == 0:
    server.stop()
    os._exit(0)
os.wait()
server.create_database("still_there")
server.stop()
"""
    command = [sys.executable, "-W", "ignore", "-c", program, str(place)]

    ended = subprocess.run(command, env=os.environ | {"PYTHONPATH": PACKAGE_ROOT}, timeout=60, check=False)

    assert ended.returncode == 0
    assert not list(place.iterdir())


def test_the_password_is_in_no_command_line(owner: Owner) -> None:
    password = owner.url.split(":")[2].split("@")[0]

    assert ask(owner.url, "SELECT 1") == 1
    assert not processes_of(Path(password))
