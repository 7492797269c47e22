"""A run that is cancelled leaves no statement running on the server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.orchestrate.orchestra import SLEEP, Orchestra, wait_until
from tests.process_group import heed_interrupts


@pytest.mark.slow
def test_a_cancelled_run_ends_its_statement_within_seconds(orchestra: Orchestra, tmp_path: Path) -> None:
    orchestra.scene.spec(SLEEP)
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
        preexec_fn=heed_interrupts,
    )
    try:
        assert wait_until(lambda: orchestra.sleepers() == 1, seconds=120)

        run.send_signal(signal.SIGINT)

        assert wait_until(lambda: orchestra.sleepers() == 0, seconds=5)
        told, _ = run.communicate(timeout=30)
        assert "DagsterExecutionInterruptedError" in told
        assert orchestra.scene.sql("SELECT holder FROM crossfade.migration") == [(None,)]
    finally:
        run.kill()
        run.wait()
