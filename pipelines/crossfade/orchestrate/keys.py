"""What things are called in Dagster; the same words as in the spec, the ledger and the command line."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from dagster import AssetKey, DagsterRun

from crossfade.spec import Migration
from crossfade.steps.step import Leg

MIGRATION_TAG, LEG_TAG = "crossfade/migration", "crossfade/leg"
PHASE_TAG, STAGE_TAG = "crossfade/phase", "crossfade/stage"
# Dagster's own, of runs that a sensor or a schedule requested and of those that come instead of a run that failed.
_BY_ITSELF = ("dagster/sensor_name", "dagster/schedule_name", "dagster/retry_number")


def leg_key(migration: Migration, leg: Leg) -> AssetKey:
    """The asset of a phase or contract stage, below the migration's own database."""
    return AssetKey([migration.head.database, migration.id, str(leg)])


def step_of(database: str, migration: str, leg: str) -> str:
    """What runs call the step that does a leg."""
    return AssetKey([database, migration, leg]).to_python_identifier()


def history_key(database: str) -> AssetKey:
    """The asset that stands for all migrations of a database that are long complete."""
    return AssetKey([database, "history"])


def broken_key(file: Path, root: Path) -> AssetKey:
    """The asset that stands for a file that cannot be read."""
    inside = file.relative_to(root) if file.is_relative_to(root) else file
    return AssetKey(["broken", *(_as_name(part) for part in inside.parts if part != file.anchor)])


def _as_name(part: str) -> str:
    """In characters that Dagster takes: one name with others would end the loading of all. Still one for each file."""
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", part)
    return (
        plain if plain == part else f"{plain}-{hashlib.sha256(part.encode(errors='surrogateescape')).hexdigest()[:8]}"
    )


def group_of(migration: Migration) -> str:
    """The lineage draws a group as one card: a migration."""
    return f"{migration.head.database}__{migration.id}"


def history_group(database: str) -> str:
    """A card of its own; a migration's has two underscores in its name."""
    return f"{database}_history"


def pool_of(migration: Migration) -> str:
    """Runs in one pool wait for each other where the instance says `granularity: run`."""
    return f"pg/{migration.head.database}"


def holder_of(run_id: str) -> str:
    """Who works on a migration, as its ledger names a run."""
    return f"Dagster run {run_id}"


def run_tags(migration: Migration, leg: Leg) -> dict[str, str]:
    """By these the runs of a migration are found in the list of runs."""
    return {MIGRATION_TAG: migration.id, LEG_TAG: str(leg)}


def is_tried_by_itself(run: DagsterRun, retry: int) -> bool:
    """Whether no person has asked for this very try: somebody may have decided otherwise since. retry: of the step."""
    return retry > 0 or any(tag in run.tags for tag in _BY_ITSELF)


def migrations_of(run: DagsterRun) -> set[str]:
    """By its tag, or by the assets it was launched for: it may not have come to tag itself."""
    if tagged := run.tags.get(MIGRATION_TAG):
        return {tagged}
    return {key.path[1] for key in run.asset_selection or () if len(key.path) > 1}
