"""A run that is cancelled leaves no statement running on the server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.orchestrate.orchestra import Orchestra

SLEEPING = """
SELECT count(*) FROM pg_stat_activity
 WHERE state = 'active' AND query LIKE '%pg_sleep(600)' AND pid <> pg_backend_pid()"""


@pytest.mark.slow
def test_a_cancelled_run_ends_its_statement_within_seconds(orchestra: Orchestra, tmp_path: Path) -> None:
    orchestra.scene.spec('changes: [{sql: {up: "SELECT pg_sleep(600)"}}]\n')
    home = tmp_path / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    module, asset = "crossfade.orchestrate.definitions", "key:app/m/expand"
    run = subprocess.Popen(
        [sys.executable, "-m", "dagster", "asset", "materialize", "-m", module, "--select", asset],
        env=os.environ
        | {
            "CROSSFADE_PROJECT": str(orchestra.scene.root),
            "DAGSTER_HOME": str(home),
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert wait_for(orchestra, sleeping=1, seconds=60)

        run.send_signal(signal.SIGINT)

        assert wait_for(orchestra, sleeping=0, seconds=5)
        told, _ = run.communicate(timeout=30)
        assert "DagsterExecutionInterruptedError" in told
        assert orchestra.scene.sql("SELECT holder FROM crossfade.migration") == [(None,)]
    finally:
        run.kill()
        run.wait()


def wait_for(orchestra: Orchestra, *, sleeping: int, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if orchestra.scene.one(SLEEPING) == sleeping:
            return True
        time.sleep(0.1)
    return False
