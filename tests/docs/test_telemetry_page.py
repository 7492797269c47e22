"""docs/telemetry.md names every metric there is, and its variables do what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.docs.markdown import DOCS, Page
from tests.scene import Scene

from crossfade.execute import Runner
from crossfade.execute.notice import ignore
from crossfade.telemetry import reported

PAGE = Page(DOCS / "telemetry.md")
SOURCE = DOCS.parent / "pipelines" / "crossfade"


@pytest.mark.parametrize(
    ("section", "module", "name"),
    [
        ("opentelemetry", "telemetry/traces.py", r"crossfade\.(?:step|lock|walk|gate)\.[a-z]+"),
        ("prometheus", "report/metrics.py", r"crossfade_[a-z_]+"),
    ],
)
def test_the_metrics_are_those_that_are_sent(section: str, module: str, name: str) -> None:
    made = set(re.findall(rf'"({name})",? ', (SOURCE / module).read_text().replace("\n", " ")))
    rows = "\n".join(line for line in PAGE.sections[section].splitlines() if line.startswith("| `"))
    named = {found for row in rows.splitlines() for found in re.findall(f"`({name})`", row.split(" | ")[0])}

    assert named == made


def test_the_variables_of_the_page_write_events_to_a_file(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (block,) = [fence.text for fence in PAGE.fences if "TYPE=file" in fence.text]
    for name, value in re.findall(r"^export (\w+)=(\S+)", block, re.MULTILINE):
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    scene.sql("CREATE TABLE users (id int PRIMARY KEY)")
    scene.spec("changes: [{add_column: {table: users, column: mail, type: text}}]\n")
    project = scene.project()

    Runner(project, reported(project, ignore)).advance(scene.migration())

    assert (tmp_path / "lineage.jsonl").read_text().count('"m.expand"') == 2
