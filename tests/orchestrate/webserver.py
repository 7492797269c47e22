"""Dagster's webserver, asked as its pages ask."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

_LAUNCH = """
mutation ($keys: [AssetKeyInput!]!) {
  launchPipelineExecution(executionParams: {mode: "default", selector: {repositoryLocationName: "crossfade",
    repositoryName: "__repository__", pipelineName: "__ASSET_JOB", assetSelection: $keys}}) {
    ... on LaunchRunSuccess { run { runId } } } }"""
_TERMINATE = "mutation ($run: String!) { terminateRun(runId: $run) { __typename } }"
_LATEST = """
query ($keys: [AssetKeyInput!]!) {
  assetNodes(assetKeys: $keys) { assetMaterializations(limit: 100) { runId } } }"""


@dataclass(frozen=True)
class Webserver:
    url: str

    def assets(self) -> list[str]:
        """Keys of all assets; empty until it answers and the code location is loaded."""
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

    def _ask(self, query: str, **variables: Any) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["data"]
