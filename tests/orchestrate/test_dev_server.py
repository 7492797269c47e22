"""`dagster dev` on the workspace file: its webserver shows the assets, and a run started there can be cancelled."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.orchestrate.orchestra import SLEEP, Orchestra, heed_interrupts, wait_until

WORKSPACE = Path(__file__).parents[2] / "workspace.yaml"
LAUNCH = """
mutation ($keys: [AssetKeyInput!]!) {
  launchPipelineExecution(executionParams: {mode: "default", selector: {repositoryLocationName: "crossfade",
    repositoryName: "__repository__", pipelineName: "__ASSET_JOB", assetSelection: $keys}}) {
    ... on LaunchRunSuccess { run { runId } } } }"""
TERMINATE = "mutation ($run: String!) { terminateRun(runId: $run) { __typename } }"


class DevServer:
    """A running `dagster dev`."""

    def __init__(self, port: int) -> None:
        self._address = f"http://127.0.0.1:{port}/graphql"

    def ask(self, query: str, **variables: Any) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(self._address, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["data"]

    def assets(self) -> list[str]:
        """Keys of all assets; empty until the code location is loaded."""
        try:
            nodes = self.ask("{ assetNodes { assetKey { path } } }")["assetNodes"]
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return []
        return sorted("/".join(node["assetKey"]["path"]) for node in nodes)


@pytest.fixture
def dev_server(orchestra: Orchestra, tmp_path: Path) -> Iterator[DevServer]:
    """Over the scene's project as it is when asked for the first time."""
    orchestra.scene.spec(SLEEP + "gates: {contract: [{soak: 7d}]}\n")
    orchestra.scene.spec("changes: [{add_colum: {table: items}}]\n", id="n")
    home = tmp_path / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\nnux: {enabled: false}\n")
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "dagster", "dev", "-w", str(WORKSPACE), "-h", "127.0.0.1", "-p", str(port)],
        cwd=orchestra.scene.root,
        env=os.environ | {"DAGSTER_HOME": str(home), "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=heed_interrupts,
    )
    try:
        yield DevServer(port)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_webserver_shows_the_assets_and_cancels_a_run(orchestra: Orchestra, dev_server: DevServer) -> None:
    assert wait_until(dev_server.assets, seconds=240)
    assert dev_server.assets() == [
        "app/m/backfill",
        "app/m/expand",
        "app/m/validate",
        "broken/migration_specs/n.yaml",
    ]

    keys = [{"path": ["app", "m", "expand"]}]
    run = dev_server.ask(LAUNCH, keys=keys)["launchPipelineExecution"]["run"]["runId"]
    assert wait_until(lambda: orchestra.sleepers() == 1, seconds=120)
    dev_server.ask(TERMINATE, run=run)

    assert wait_until(lambda: orchestra.sleepers() == 0, seconds=10)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
