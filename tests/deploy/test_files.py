"""The files of deploy/ are what Dagster takes, agree with each other, and with docs/deploy.md."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster import __version__ as dagster_version
from dagster._core.instance.config import dagster_instance_config
from tests.docs.markdown import DOCS, Page

from crossfade.spec.databases import load_databases

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PAGE = Page(DOCS / "deploy.md")


def read(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))


def variables(settings: Any) -> set[str]:
    """Every `{env: NAME}` in it."""
    if isinstance(settings, dict):
        if set(settings) == {"env"}:  # pyright: ignore[reportUnknownArgumentType]
            return {str(settings["env"])}  # pyright: ignore[reportUnknownArgumentType]
        return set[str]().union(*map(variables, settings.values()))  # pyright: ignore[reportUnknownArgumentType]
    return set()


def test_dagster_takes_the_settings_of_an_instance() -> None:
    settings, _ = dagster_instance_config(str(DEPLOY / "celery"))

    assert settings["concurrency"]["pools"] == {"default_limit": 1, "granularity": "run"}


def test_every_variable_of_the_instance_is_set_in_the_containers() -> None:
    wanted = variables(read("celery/dagster.yaml"))
    services: dict[str, Any] = read("compose/docker-compose.yaml")["services"]
    ours = {name: service for name, service in services.items() if name not in {"postgres", "redis"}}

    assert {name for name, service in ours.items() if not wanted <= set(service["environment"])} == set()


def test_only_what_runs_migrations_is_given_the_databases() -> None:
    known = load_databases(ROOT / "databases.yaml")
    wanted = {f"{name.upper()}_DATABASE_URL" for name in known}
    services: dict[str, Any] = read("compose/docker-compose.yaml")["services"]

    given = {name for name, service in services.items() if wanted & set(service.get("environment", {}))}
    assert given == {"code", "worker-one", "worker-two"}
    assert all(wanted <= set(services[name]["environment"]) for name in given)


@pytest.mark.parametrize("port", ["3000", "3001"])
def test_no_webserver_listens_beyond_its_own_machine(port: str) -> None:
    services: dict[str, Any] = read("compose/docker-compose.yaml")["services"]
    ports = [each for service in services.values() for each in service.get("ports", [])]

    assert [each for each in ports if f":{port}:" in each] == [f"127.0.0.1:{port}:3000"]


def test_no_process_is_given_more_runs_than_the_workers_take() -> None:
    services: dict[str, Any] = read("compose/docker-compose.yaml")["services"]
    commands = [service["command"] for name, service in services.items() if name.startswith("worker")]
    processes = [int(command[command.index("-c") + 1]) for command in commands]

    assert read("celery/dagster.yaml")["concurrency"]["runs"]["max_concurrent_runs"] == sum(processes)


def test_a_state_of_celery_is_kept_for_longer_than_a_run_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"):
        monkeypatch.setenv(name, "redis://localhost")
    config: dict[str, Any] = {}
    exec((DEPLOY / "celery" / "dagster_celery_config.py").read_text(), config)

    assert config["result_expires"] > read("celery/dagster.yaml")["run_monitoring"]["max_runtime_seconds"]


def test_kubernetes_limits_and_repeats_runs_as_celery_does() -> None:
    values, instance = read("kubernetes/values.yaml"), read("celery/dagster.yaml")
    daemon = values["dagsterDaemon"]

    assert values["concurrency"]["pools"] == {"defaultLimit": 1, "granularity": "run"}
    assert daemon["runRetries"]["maxRetries"] == instance["run_retries"]["max_retries"]
    assert daemon["runMonitoring"]["maxRuntimeSeconds"] == instance["run_monitoring"]["max_runtime_seconds"]
    chart = re.search(r"--version (\S+)", (DEPLOY / "kubernetes" / "values.yaml").read_text())
    assert chart is not None
    assert chart[1] == dagster_version


def test_the_page_names_every_variable_and_folder() -> None:
    named = set(re.findall(r"`(CELERY_\w+)`", PAGE.text))
    named |= {f"DAGSTER_POSTGRES{end}" for end in re.findall(r"`(_[A-Z]+)`", PAGE.text)} | {"DAGSTER_POSTGRES_HOST"}
    folders = {path.name for path in DEPLOY.iterdir() if path.is_dir()} - {"grafana"}  # docs/telemetry.md has that one

    assert named == variables(read("celery/dagster.yaml"))
    assert all(f"`deploy/{folder}`" in PAGE.text for folder in folders)
