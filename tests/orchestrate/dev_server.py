"""`crossfade dev` in a process of its own: asked as its pages ask, and killed as machines die."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

from dagster import DagsterInstance
from tests.orchestrate.orchestra import heed_interrupts, wait_until

WORKSPACE = Path(__file__).parents[2] / "workspace.yaml"
_LAUNCH = """
mutation ($keys: [AssetKeyInput!]!) {
  launchPipelineExecution(executionParams: {mode: "default", selector: {repositoryLocationName: "crossfade",
    repositoryName: "__repository__", pipelineName: "__ASSET_JOB", assetSelection: $keys}}) {
    ... on LaunchRunSuccess { run { runId } } } }"""
_TERMINATE = "mutation ($run: String!) { terminateRun(runId: $run) { __typename } }"
_LATEST = """
query ($keys: [AssetKeyInput!]!) {
  assetNodes(assetKeys: $keys) { assetMaterializations(limit: 100) { runId } } }"""
_STARTS_WITHIN = 240.0  # seconds


class DevServer:
    """`crossfade dev` for the project under `root`. Dagster's own state is in the project, so a new one goes on."""

    def __init__(self, root: Path) -> None:
        (root / "workspace.yaml").write_text(WORKSPACE.read_text())
        self._home = root / ".crossfade" / "dagster"
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        call = "from crossfade.cli import main; main()"
        self._process = subprocess.Popen(
            [sys.executable, "-c", call, "--project", str(root), "dev", "--port", str(port)],
            cwd=root,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=heed_interrupts,
        )
        assert wait_until(self.assets, seconds=_STARTS_WITHIN)

    def assets(self) -> list[str]:
        """Keys of all assets; empty until the code location is loaded."""
        try:
            nodes = self._ask("{ assetNodes { assetKey { path } } }")["assetNodes"]
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return []
        return sorted("/".join(node["assetKey"]["path"]) for node in nodes)

    def launch(self, *assets: str) -> str:
        """Materialize them, as their page does; gives the run."""
        keys = [{"path": asset.split("/")} for asset in assets]
        return self._ask(_LAUNCH, keys=keys)["launchPipelineExecution"]["run"]["runId"]

    def cancel(self, run: str) -> None:
        self._ask(_TERMINATE, run=run)

    def materializations(self, asset: str) -> list[str]:
        """The runs that materialized it, newest first."""
        (node,) = self._ask(_LATEST, keys=[{"path": asset.split("/")}])["assetNodes"]
        return [each["runId"] for each in node["assetMaterializations"]]

    def statuses(self, migration: str) -> list[str]:
        """Of the runs of a migration, oldest first."""
        found = self._ask("{ runsOrError { ... on Runs { results { status tags { key value } } } } }")
        return [
            run["status"]
            for run in reversed(found["runsOrError"]["results"])
            if {"key": "crossfade/migration", "value": migration} in run["tags"]
        ]

    def kill_worker(self, run: str) -> None:
        """SIGKILL for the process of a run."""
        with DagsterInstance.from_config(str(self._home)) as instance:
            told = [entry.message for entry in instance.all_logs(run)]
        (pid,) = {
            int(found[1]) for line in told if (found := re.search(r"Started process for run \(pid: (\d+)\)", line))
        }
        os.kill(pid, signal.SIGKILL)

    def kill(self) -> None:
        """SIGKILL for every one of its processes, as when the machine goes."""
        for pid in [self._process.pid, *_descendants(self._process.pid)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.kill()

    def _ask(self, query: str, **variables: Any) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["data"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _descendants(pid: int) -> list[int]:
    """Processes that it or they have started."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            continue
        parent = int(stat.rpartition(")")[2].split()[1])
        children.setdefault(parent, []).append(int(folder.name))
    found = [*children.get(pid, [])]
    for each in found:
        found += children.get(each, [])
    return found
