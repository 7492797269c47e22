"""crossfade metrics: the page that Prometheus reads, and the dashboard over it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.cli.calls import Call
from tests.cli.specs import ADD, users
from tests.scene import Scene

DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana" / "migrations.json"
WAITING = "\ngates: {validate: {before: [{soak: 1d}]}}\n"


def samples(page: str) -> dict[str, dict[str, float]]:
    """By name of the metric and by migration; in a family of states, by state."""
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            key = sample.labels["migration"] + (f" {state}" if (state := sample.labels.get("state")) else "")
            found.setdefault(sample.name, {})[key] = sample.value
    return found


def test_it_says_where_each_migration_stands_and_which_gates_do_not_hold(scene: Scene, call: Call) -> None:
    users(scene)
    scene.spec(ADD + WAITING)
    scene.spec(ADD.replace("seen", "met"), id="n")
    scene.up()

    found = samples(call("metrics").stdout)

    assert found["crossfade_migration_state"] == {"m waiting": 1, "n not started": 1}
    assert found["crossfade_gate_waits_since_timestamp_seconds"]["m"] > 1.7e9
    assert "crossfade_migration_needs_attention" not in found


def test_a_database_that_does_not_answer_is_a_state_and_no_failure_of_the_page(
    scene: Scene, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    users(scene)
    scene.spec(ADD)
    monkeypatch.setenv("APP_URL", "postgresql://me@127.0.0.1:1/x")

    result = call("metrics")

    assert result.exit_code == 0
    assert samples(result.stdout)["crossfade_migration_state"] == {"m unreachable": 1}


def test_it_is_served_and_asked_anew_at_each_scrape(scene: Scene) -> None:
    users(scene)
    scene.spec(ADD)
    program = [sys.executable, "-c", "from crossfade.cli import main; main()", "--project", str(scene.root)]
    with subprocess.Popen(
        [*program, "metrics", "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().split()[-1]
            assert samples(_get(url))["crossfade_migration_state"] == {"m not started": 1}
            scene.up()
            assert samples(_get(url))["crossfade_migration_state"] == {"m complete": 1}
        finally:
            server.terminate()


@pytest.mark.parametrize("address", ["9464", "localhost:", "localhost:99999"])
def test_an_address_that_is_none_is_refused(scene: Scene, call: Call, address: str) -> None:
    result = call("metrics", "--listen", address)

    assert result.exit_code == 2
    assert f"{address} is no HOST:PORT" in result.stderr


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    source = Path(__file__).parents[2] / "pipelines" / "crossfade" / "report" / "metrics.py"
    known = set(re.findall(r'"(crossfade_\w+)"', source.read_text()))
    asked = {
        name
        for panel in json.loads(DASHBOARD.read_text())["panels"]
        for target in panel["targets"]
        for name in re.findall(r"crossfade_\w+", target["expr"])
    }

    assert asked <= known
    assert len(asked) >= 4


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()
