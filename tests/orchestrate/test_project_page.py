"""docs/dagster.md: a Dagster project with its files shows the migrations, to `dg` and to Dagster."""

from __future__ import annotations

import importlib
import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from dagster import AssetKey, DagsterInstance, Definitions, SensorDefinition, in_process_executor
from dagster_dg_cli.cli import create_dg_cli
from tests.docs.markdown import DOCS, Page
from tests.scene import Scene

import crossfade
from crossfade.orchestrate import MigrationSpecs
from crossfade.orchestrate.alerts import Slowness
from crossfade.orchestrate.component import Alerts
from crossfade.spec import Project

PAGE = Page(DOCS / "dagster.md")
FILES = {fence.options["title"]: fence.text for fence in PAGE.fences}
PROJECT = """\
[project]
name = "shop"
version = "1"

[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "shop"
"""
NAMES = {"app/m/expand", "app/m/backfill", "app/m/validate"}


@pytest.fixture
def shop(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Dagster project made by hand in the scene's folder, with the page's files, that dg is called in."""
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL)")
    scene.spec("changes: [{add_column: {table: items, column: code, type: text}}]\n")
    home = scene.root / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    (scene.root / "pyproject.toml").write_text(PROJECT)
    for name, text in FILES.items():
        (scene.root / name).parent.mkdir(parents=True, exist_ok=True)
        (scene.root / name).write_text(text)
    (scene.root / "src" / "shop" / "__init__.py").touch()
    monkeypatch.chdir(scene.root)
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    # Not the first one, which is a script's own folder to Dagster: it takes that away while it loads a module.
    monkeypatch.setattr(sys, "path", [*sys.path, str(scene.root / "src")])
    for module in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
        monkeypatch.delitem(sys.modules, module)
    return scene.root


def dg(*arguments: str) -> Any:
    """What dg prints: parsed where it was asked for JSON, else its exit code and its words."""
    result = CliRunner().invoke(create_dg_cli(), arguments)
    return json.loads(result.stdout) if "--json" in arguments else (result.exit_code, result.output)


def test_dg_lists_the_component(shop: Path) -> None:
    assert "crossfade.MigrationSpecs" in [each["key"] for each in dg("list", "components", "--json")["items"]]


def test_dg_checks_its_attributes(shop: Path) -> None:
    file = shop / "src" / "shop" / "defs" / "migrations" / "defs.yaml"
    assert dg("check", "yaml")[0] == 0

    file.write_text(file.read_text().replace("path:", "pth:"))

    code, words = dg("check", "yaml")
    assert (code, "defs.yaml:3" in words, "'pth' was unexpected" in words) == (1, True, True)


def test_dg_lists_what_the_component_defines(shop: Path) -> None:
    listed = dg("list", "defs", "--json")

    assert {asset["asset_key"] for asset in listed["assets"]} >= NAMES
    assert "advance_migrations" in [sensor["name"] for sensor in listed["sensors"]]


def test_an_asset_of_the_component_does_its_leg(shop: Path, scene: Scene, instance: DagsterInstance) -> None:
    module: Any = importlib.import_module("shop.definitions")
    loaded: Definitions = module.defs()
    job = loaded.resolve_implicit_global_asset_job_def()
    expand = job.get_subset(asset_selection={AssetKey(["app", "m", "expand"])})

    assert expand.execute_in_process(instance=instance).success
    assert loaded.executor is in_process_executor
    assert "code" in scene.columns("items")


def test_the_attributes_are_those_of_the_page() -> None:
    rows = [line.split("|") for line in PAGE.sections["as-a-component"].splitlines() if line.startswith("| `")]
    said = {cells[1].strip(" `"): cells[2].strip(" `") for cells in rows}
    made = MigrationSpecs()

    assert said == {
        "path": made.path,
        "retries.tries": str(made.retries.tries),
        "retries.first_wait": f"{made.retries.first_wait:g}",
        **{f"alerts.{name}": str(getattr(made.alerts, name)) for name in type(made.alerts).model_fields},
    }


def test_the_attribute_alerts_says_from_when_on_people_are_told(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Slowness] = []

    def alert_sensors(_: Project, slowness: Slowness) -> list[SensorDefinition]:
        told.append(slowness)
        return []

    monkeypatch.setattr("crossfade.orchestrate.build.alert_sensors", alert_sensors)
    attributes = shop / "src" / "shop" / "defs" / "migrations" / "defs.yaml"
    attributes.write_text(attributes.read_text() + "  alerts: {running: 90m, again: 1d}\n")

    module: Any = importlib.import_module("shop.definitions")
    module.defs()

    assert told == [Slowness(timedelta(minutes=90), timedelta(days=30), timedelta(days=1))]


def test_an_alert_after_no_time_is_refused() -> None:
    with pytest.raises(ValueError, match="a duration is a number with a unit"):
        Alerts(running="soon")


def test_one_line_defines_the_same(shop: Path) -> None:
    scope: dict[str, Any] = {"__file__": str(shop / "definitions.py")}

    exec(FILES["definitions.py"], scope)

    graph = scope["defs"].resolve_asset_graph()
    assert {key.to_user_string() for key in graph.get_all_asset_keys()} >= NAMES
    assert crossfade.build_definitions(shop, executor=None).executor is None
