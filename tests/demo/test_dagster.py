"""Dagster beside the demo."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SERVE = """
import sys
from pathlib import Path
from crossfade.cli.failure import end_in_order_on_sigterm
from crossfade.demo.dagster import free_port, serve
end_in_order_on_sigterm()
serve(Path(sys.argv[1]), free_port())
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_supervisor_that_ends_the_demo_ends_dagster_with_it(tmp_path: Path) -> None:
    (tmp_path / "databases.yaml").write_text("app: {url: env:APP_URL}\n")
    (tmp_path / "migration_specs").mkdir()
    (tmp_path / "workspace.yaml").write_text("load_from:\n  - python_module: crossfade.orchestrate.definitions\n")
    with subprocess.Popen(
        [sys.executable, "-c", SERVE, str(tmp_path)], preexec_fn=ignore_ctrl_c, stderr=subprocess.DEVNULL
    ) as demo:
        try:
            while not any("code-server" in command for command in commands(tmp_path)):
                assert demo.poll() is None
                time.sleep(0.1)

            demo.send_signal(signal.SIGTERM)

            assert demo.wait(120) == 143
        finally:
            demo.kill()
    # Its code server notices that it is alone by its heartbeat.
    deadline = time.monotonic() + 60
    while left := commands(tmp_path):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def ignore_ctrl_c() -> None:
    """As a shell does for what its script starts with &."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def commands(root: Path) -> list[str]:
    """Of the processes that were started for the project."""
    found: list[str] = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = process.read_text().replace("\0", " ")
        except OSError:
            continue
        if str(root) in command and "-c" not in command.split()[:2]:
            found.append(command)
    return found
