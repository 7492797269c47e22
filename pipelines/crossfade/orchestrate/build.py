"""From a project to Dagster's definitions; needs no database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from dagster import AssetChecksDefinition, AssetKey, AssetsDefinition, Definitions, in_process_executor

from crossfade.changes import CHANGES
from crossfade.gates import GATES
from crossfade.orchestrate.advance import Turn
from crossfade.orchestrate.ask import Question
from crossfade.orchestrate.assets import gate_check, leg_asset
from crossfade.orchestrate.broken import broken_asset, key_of
from crossfade.orchestrate.gate_sets import gate_sets
from crossfade.orchestrate.keys import leg_key
from crossfade.orchestrate.legs import possible_legs
from crossfade.orchestrate.operations import operations
from crossfade.orchestrate.refusals import Patience
from crossfade.orchestrate.sensor import advance_sensor
from crossfade.spec import Project, SpecError, find_root, load_project


def build_definitions(path: Path, *, patience: Patience | None = None) -> Definitions:
    """Everything Dagster shows and runs of the project that `path` lies in.

    patience: how a run waits for what passes by itself. Raises ProjectNotFoundError; a file that is wrong is an asset.
    """
    root = find_root(path)
    try:
        project = load_project(root, changes=CHANGES, gates=GATES, strict=False)
    except SpecError as error:  # databases.yaml, without which no migration means anything
        return Definitions(assets=[broken_asset(error, root)])
    patience = patience or Patience()
    assets = [*_assets(project, patience)]
    return Definitions(
        assets=[*assets, *(broken_asset(error, root) for error in project.broken)],
        sensors=[advance_sensor(project)],
        jobs=operations(project, patience),
        # The steps of a run share what was loaded; a process each would load all specs again.
        executor=in_process_executor,
    )


def _assets(project: Project, patience: Patience) -> Iterator[AssetsDefinition | AssetChecksDefinition]:
    legs = {migration.id: possible_legs(migration) for migration in project.migrations}
    ends = {migration.id: leg_key(migration, legs[migration.id][-1]) for migration in project.migrations}
    ends |= {error.migration: key_of(error, project.root) for error in project.broken if error.migration}
    for migration in project.migrations:
        sets = gate_sets(migration, legs[migration.id])
        before: Sequence[AssetKey] = [ends[name] for name in migration.head.after if name in ends]
        for leg in legs[migration.id]:
            yield leg_asset(Turn(project, migration, leg, sets, patience), before)
            before = [leg_key(migration, leg)]
        for gates in sets:
            yield gate_check(Question(project, migration, gates, patience))
