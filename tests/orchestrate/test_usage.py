from __future__ import annotations

from pathlib import Path

import pytest
from dagster import SkipReason, build_sensor_context
from tests.scene import HEAD
from tests.usage.counted import Counted

from crossfade.orchestrate import build_definitions

GATED = """\
changes: [{rename_column: {table: users, from: email, to: address}}]
gates: {contract: [{unused: users.email, for: 24h}]}
"""


@pytest.fixture
def project(counted: Counted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("APP_URL", counted.url)
    (tmp_path / "databases.yaml").write_text("app: {url: env:APP_URL, replicas: [env:REPLICA_URL]}\n")
    (tmp_path / "migration_specs").mkdir()
    return tmp_path


def test_the_sensor_samples_the_databases_that_a_gate_asks_about(counted: Counted, project: Path) -> None:
    (project / "migration_specs" / "m.yaml").write_text(HEAD.format(id="m", database="app") + GATED)
    sensor = build_definitions(project).get_sensor_def("sample_usage")

    said = sensor(build_sensor_context())

    assert isinstance(said, SkipReason)
    assert "app: primary: 0 of" in (said.skip_message or "")
    assert "REPLICA_URL is not set" in (said.skip_message or "")  # and the primary was sampled all the same
    assert [node.node for node in counted.ledger.usage_nodes()] == ["primary"]


def test_without_such_a_gate_there_is_no_sensor(project: Path) -> None:
    definitions = build_definitions(project)

    assert "sample_usage" not in [sensor.name for sensor in definitions.sensors or ()]
