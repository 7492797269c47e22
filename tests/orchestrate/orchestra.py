"""Dagster on a scene: materialize some assets, look at what became of them, let the sensor tick."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from dagster import (
    AssetCheckEvaluation,
    AssetKey,
    AssetSelection,
    DagsterEvent,
    DagsterEventType,
    DagsterInstance,
    Definitions,
    ExecuteInProcessResult,
    build_sensor_context,
)
from dagster._core.definitions.sensor_definition import SensorExecutionData
from tests.scene import Scene

from crossfade.orchestrate import Patience, build_definitions
from crossfade.orchestrate.legs import possible_legs

FILL = """\
changes:
  - add_column: {table: items, column: code, type: text, up: upper(name)}
"""
SLEEP = """\
changes:
  - sql: {up: SELECT pg_sleep(600)}
"""
SLEEPING = """
SELECT count(*) FROM pg_stat_activity
 WHERE state = 'active' AND query LIKE '%pg_sleep(600)' AND pid <> pg_backend_pid()"""
SWAP = """\
changes:
  - change_column: {table: items, column: name, to: {type: text}, up: lower(name), down: name}
"""


@dataclass(frozen=True)
class Played:
    """A run that has ended, as the instance kept it. Assets and checks by their short names."""

    result: ExecuteInProcessResult
    instance: DagsterInstance

    @property
    def is_green(self) -> bool:
        return self.result.success

    @property
    def materialized(self) -> list[str]:
        return [key.path[-1] for key in self._keys(DagsterEventType.ASSET_MATERIALIZATION)]

    @property
    def observed(self) -> list[str]:
        return [key.path[-1] for key in self._keys(DagsterEventType.ASSET_OBSERVATION)]

    @property
    def skipped(self) -> list[str]:
        return self._steps(DagsterEventType.STEP_SKIPPED)

    @property
    def failed(self) -> list[str]:
        return self._steps(DagsterEventType.STEP_FAILURE)

    @property
    def retried(self) -> list[str]:
        return self._steps(DagsterEventType.STEP_UP_FOR_RETRY)

    @property
    def logged(self) -> list[str]:
        """What was written to its log."""
        return [entry.user_message for entry in self.instance.all_logs(self.result.run_id)]

    @property
    def failure(self) -> str:
        """All that Dagster keeps of the failure: messages and stacks, to the last cause."""
        (event,) = self._events(DagsterEventType.STEP_FAILURE)
        return str(event.step_failure_data)

    @property
    def refusal(self) -> str:
        """The words a user reads."""
        (event,) = self._events(DagsterEventType.STEP_FAILURE)
        data = event.step_failure_data.user_failure_data
        assert data is not None
        return data.description or ""

    @property
    def checks(self) -> dict[str, AssetCheckEvaluation]:
        """The last evaluation of each."""
        found: dict[str, AssetCheckEvaluation] = {}
        for event in self._events(DagsterEventType.ASSET_CHECK_EVALUATION):
            data = cast(AssetCheckEvaluation, event.event_specific_data)
            found[f"{data.asset_key.path[-1]}.{data.check_name}"] = data
        return found

    def metadata(self, asset: str) -> Mapping[str, Any]:
        """Values of the asset's materialization."""
        for event in self.result.get_asset_materialization_events():
            found = event.materialization
            if found.asset_key.path[-1] == asset:
                return {key: value.value for key, value in found.metadata.items()}
        raise AssertionError(f"{asset} was not materialized")

    def observations(self, asset: str) -> list[Mapping[str, Any]]:
        """Values of what was observed of the asset, in order."""
        return [
            {key: value.value for key, value in event.asset_observation_data.asset_observation.metadata.items()}
            for event in self._events(DagsterEventType.ASSET_OBSERVATION)
            if event.asset_key is not None and event.asset_key.path[-1] == asset
        ]

    def _events(self, kind: DagsterEventType) -> list[DagsterEvent]:
        entries = self.instance.all_logs(self.result.run_id, of_type=kind)
        return [entry.dagster_event for entry in entries if entry.dagster_event is not None]

    def _keys(self, kind: DagsterEventType) -> list[AssetKey]:
        return [event.asset_key for event in self._events(kind) if event.asset_key is not None]

    def _steps(self, kind: DagsterEventType) -> list[str]:
        return [(event.step_key or "").split("__")[-1] for event in self._events(kind)]


class Orchestra:
    """patience: short, so that a test of a retry takes no minutes."""

    def __init__(self, scene: Scene, instance: DagsterInstance) -> None:
        self.scene = scene
        self.instance = instance
        self.patience = Patience(tries=2, first=0.05)

    def definitions(self) -> Definitions:
        return build_definitions(self.scene.root, patience=self.patience)

    def assets(self, definitions: Definitions | None = None) -> dict[str, AssetKey]:
        """By their short names; those of migrations other than `m` with it before them."""
        graph = (definitions or self.definitions()).resolve_asset_graph()
        return {self._short(key): key for key in graph.get_all_asset_keys()}

    def materialize(self, *names: str, checks: bool = True, tags: Mapping[str, str] | None = None) -> Played:
        """A run of these assets, as the UI starts it; of all of them without names. checks: with their checks.

        tags: of the run, as Dagster gives them to those that no person starts.
        """
        definitions = self.definitions()
        known = self.assets(definitions)
        keys = [known[name] for name in names or known]
        selection = AssetSelection.assets(*keys)
        if not checks:
            selection = selection.without_checks()
        return self._run(definitions, selection, tags)

    def check(self, asset: str, name: str) -> Played:
        """A run of one check alone."""
        definitions = self.definitions()
        keys = definitions.resolve_asset_graph().asset_check_keys
        (key,) = [key for key in keys if key.name == name and self._short(key.asset_key) == asset]
        return self._run(definitions, AssetSelection.checks(key))

    def operate(self, operation: str, *, migration: str = "m", **config: str) -> Played:
        """A run of `advance`, `pause`, `resume` or `roll_back`."""
        return self.run_job(f"{operation}_migration", migration=migration, **config)

    def run_job(self, name: str, **config: str) -> Played:
        """A run with what a person fills in."""
        job = self.definitions().resolve_job_def(name)
        result = job.execute_in_process(instance=self.instance, run_config=config, raise_on_error=False)
        return Played(result, self.instance)

    def green(self) -> list[str]:
        """The assets of `m` that the UI shows as materialized, in their order."""
        known = {key: name for name, key in self.assets().items() if key.path[1] == "m"}
        found = self.instance.get_latest_materialization_events(list(known))
        order = [str(leg) for leg in possible_legs(self.scene.migration())]
        return sorted((known[key] for key, event in found.items() if event is not None), key=order.index)

    def sleepers(self) -> int:
        """Sessions in which SLEEP runs."""
        return self.scene.one(SLEEPING)

    def tick(self, cursor: str | None = None, *, definitions: Definitions | None = None) -> SensorExecutionData:
        """One look of the sensor. definitions: when they were loaded before."""
        definitions = definitions or self.definitions()
        context = build_sensor_context(instance=self.instance, definitions=definitions, cursor=cursor)
        return definitions.resolve_sensor_def("advance_migrations").evaluate_tick(context)

    def _short(self, key: AssetKey) -> str:
        return key.path[-1] if key.path[1] == "m" else "/".join(key.path[1:])

    def _run(
        self, definitions: Definitions, selection: AssetSelection, tags: Mapping[str, str] | None = None
    ) -> Played:
        job = definitions.resolve_implicit_global_asset_job_def()
        graph = job.asset_layer.asset_graph
        # Dagster leaves a type variable of its graph open.
        assets = selection.resolve(graph)  # pyright: ignore[reportUnknownMemberType]
        checks = selection.resolve_checks(graph)  # pyright: ignore[reportUnknownMemberType]
        subset = job.get_subset(asset_selection=assets, asset_check_selection=checks)
        result = subset.execute_in_process(instance=self.instance, raise_on_error=False, tags=tags)
        return Played(result, self.instance)


def wait_until(holds: Callable[[], object], *, seconds: float) -> bool:
    """Whether it holds in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.1)
    return False
