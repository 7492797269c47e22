"""From a project to Dagster's definitions; databases that do not answer are not waited for."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from pathlib import Path

from dagster import (
    AssetChecksDefinition,
    AssetKey,
    AssetsDefinition,
    Definitions,
    ExecutorDefinition,
    in_process_executor,
)

from crossfade.changes import CHANGES
from crossfade.collector import collector_paused
from crossfade.gates import GATES
from crossfade.orchestrate.advance import Turn
from crossfade.orchestrate.alerts import Slowness, alert_sensors
from crossfade.orchestrate.ask import Question
from crossfade.orchestrate.assets import gate_check, leg_asset
from crossfade.orchestrate.broken import broken_asset, key_of
from crossfade.orchestrate.drift import drift_checks, drift_jobs, drift_schedule
from crossfade.orchestrate.gate_sets import gate_sets
from crossfade.orchestrate.history import history_assets
from crossfade.orchestrate.keys import history_key, leg_key
from crossfade.orchestrate.legs import possible_legs
from crossfade.orchestrate.operations import operations, purge_schedule
from crossfade.orchestrate.refusals import Patience
from crossfade.orchestrate.sensor import advance_sensor
from crossfade.orchestrate.surveyed import Surveyed, surveyed
from crossfade.orchestrate.usage import usage_sensors
from crossfade.spec import Project, SpecError, find_root, load_project

# Definitions stay as long as their process. Those of many migrations are a million objects, in which the collector of
# cycles would look in vain whenever Dagster reads them: a quarter of the time to load.
_MANY = 100


# The steps of a run share what was loaded; a process each would load all specs again.
def build_definitions(
    path: Path | str,
    *,
    patience: Patience | None = None,
    slowness: Slowness | None = None,
    executor: ExecutorDefinition | None = in_process_executor,
) -> Definitions:
    """Everything Dagster shows and runs of the project that `path` lies in.

    patience: how a run waits for what passes by itself. slowness: from when on people are told of a migration.
    executor: of all jobs these are merged with; None leaves it to the others. Raises ProjectNotFoundError; a file that
    is wrong is an asset.
    """
    root = find_root(Path(path))
    try:
        project = load_project(root, changes=CHANGES, gates=GATES, strict=False)
    except SpecError as error:  # databases.yaml, without which no migration means anything
        return Definitions(assets=[broken_asset(error, root)])
    with collector_paused():
        definitions = _definitions(project, patience or Patience(), slowness or Slowness(), executor)
        if len(project.migrations) >= _MANY:
            gc.freeze()
    return definitions


def _definitions(
    project: Project, patience: Patience, slowness: Slowness, executor: ExecutorDefinition | None
) -> Definitions:
    found = surveyed(project)
    history = found.history
    return Definitions(
        assets=[
            *_assets(project, patience, found),
            *history_assets(project.migrations, history),
            *drift_checks(project, history, patience),
            *(broken_asset(error, project.root) for error in project.broken),
        ],
        sensors=[
            advance_sensor(project, history),
            *alert_sensors(project, slowness),
            *usage_sensors(project),
        ],
        schedules=[purge_schedule(), drift_schedule()],
        jobs=[*operations(project, patience), *drift_jobs(project, history, patience)],
        executor=executor,
    )


def _assets(
    project: Project, patience: Patience, found: Surveyed
) -> Iterator[AssetsDefinition | AssetChecksDefinition]:
    history = found.history
    shown = [migration for migration in project.migrations if migration.id not in history]
    legs = {migration.id: possible_legs(migration) for migration in shown}
    ends = {migration.id: leg_key(migration, legs[migration.id][-1]) for migration in shown}
    ends |= {each.id: history_key(each.head.database) for each in project.migrations if each.id in history}
    ends |= {error.migration: key_of(error, project.root) for error in project.broken if error.migration}
    for migration in shown:
        sets = gate_sets(migration, legs[migration.id])
        before: Sequence[AssetKey] = [*dict.fromkeys(ends[name] for name in migration.head.after if name in ends)]
        for leg in legs[migration.id]:
            yield leg_asset(Turn(project, migration, leg, sets, patience), before, found.plans.get(migration.id))
            before = [leg_key(migration, leg)]
        for gates in sets:
            yield gate_check(Question(project, migration, gates, patience))
