"""Brings the assets up to what the ledger says: legs that the command line ran, or that a lost Dagster had run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dagster import AssetMaterialization, DagsterInstance, MetadataValue

from crossfade.execute.status import MigrationStatus
from crossfade.orchestrate.keys import leg_key
from crossfade.orchestrate.legs import possible_legs
from crossfade.spec import Migration
from crossfade.steps.step import Leg

_SETTLED = ("waiting", "paused", "complete")  # nobody works on it, so no run is about to tell more


def position(status: MigrationStatus) -> str | None:
    """Up to where the migration has come; None when that cannot be told now."""
    if status.state not in _SETTLED:
        return None
    return "complete" if status.state == "complete" else status.leg


def passed_elsewhere(
    instance: DagsterInstance, reached: Sequence[tuple[Migration, str]]
) -> Iterator[AssetMaterialization]:
    """One for each leg before where its migration has come that this Dagster has never seen pass."""
    keys = {leg_key(migration, leg): leg for migration, position in reached for leg in _behind(migration, position)}
    known = instance.get_latest_materialization_events(list(keys))
    for key, leg in keys.items():
        if known.get(key) is None:
            note = f"The ledger says that {leg} is over; this Dagster did not run it."
            yield AssetMaterialization(key, metadata={"note": MetadataValue.text(note)})


def _behind(migration: Migration, reached: str) -> Sequence[Leg]:
    legs = possible_legs(migration)
    names = [str(leg) for leg in legs]
    return legs[: names.index(reached)] if reached in names else legs if reached == "complete" else ()
