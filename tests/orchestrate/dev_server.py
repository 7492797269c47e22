"""`crossfade dev` in processes of its own, killed as machines die."""

from __future__ import annotations

import os
import re
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

from dagster import DagsterInstance
from tests.orchestrate.orchestra import wait_until
from tests.orchestrate.webserver import Webserver
from tests.process_group import ProcessGroup, held_port

WORKSPACE = Path(__file__).parents[2] / "workspace.yaml"
_STARTS_WITHIN = 240.0  # seconds


class DevServer:
    """`crossfade dev` for the project under `root`. Dagster's own state is in the project, so a new one goes on."""

    def __init__(self, root: Path) -> None:
        (root / "workspace.yaml").write_text(WORKSPACE.read_text())
        self._home = root / ".crossfade" / "dagster"
        self._held = ExitStack()
        port = self._held.enter_context(held_port())
        self.web = Webserver(f"http://127.0.0.1:{port}")
        call = "from crossfade.cli import main; main()"
        self.processes = ProcessGroup(
            [sys.executable, "-c", call, "--project", str(root), "dev", "--port", str(port)],
            folder=root,
            environment={
                "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)),
                "DAGSTER_EVENT_LOG_CONSUMER_DAEMON_INTERVAL_SECONDS": "1",  # in which a run is seen to have failed
            },
        )
        assert wait_until(self.web.assets, seconds=_STARTS_WITHIN)

    def kill_worker(self, run: str) -> None:
        """SIGKILL for the process of a run."""
        with DagsterInstance.from_config(str(self._home)) as instance:
            os.kill(process_of(instance, run), signal.SIGKILL)

    def kill(self) -> None:
        """SIGKILL for every one of its processes, as when the machine goes."""
        self.processes.kill()
        self._held.close()

    def stop(self) -> None:
        self.processes.stop()
        self._held.close()


def process_of(instance: DagsterInstance, run: str) -> int:
    """The process that says it has begun with the run."""
    told = [entry.message for entry in instance.all_logs(run)]
    (pid,) = {int(found[1]) for line in told if (found := re.search(r"Started process for run \(pid: (\d+)\)", line))}
    return pid
