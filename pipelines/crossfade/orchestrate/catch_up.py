"""Brings the assets to what the ledger says: legs the command line ran or took back, or that a lost Dagster ran."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dagster import AssetKey, AssetMaterialization, AssetObservation, DagsterInstance, MetadataValue

from crossfade.execute.status import MigrationStatus
from crossfade.orchestrate.keys import leg_key
from crossfade.orchestrate.legs import possible_legs
from crossfade.spec import Migration
from crossfade.steps.step import Leg

_SETTLED = ("waiting", "paused")  # nobody works on it, so no run is about to tell more


def position(status: MigrationStatus) -> str | None:
    """Up to where the migration has come; None when that cannot be told now."""
    if status.state in ("complete", "undone"):
        return status.state
    return status.leg if status.state in _SETTLED else None


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


def taken_back(
    instance: DagsterInstance, reached: Sequence[tuple[Migration, str]], *, before: float
) -> Iterator[AssetObservation]:
    """Each leg that this Dagster has seen pass and that the ledger says is yet to come is shown as never materialized.

    before: seconds since the epoch, when that was read in the ledger: what has passed since is left as it is.
    """
    keys = {leg_key(migration, leg): leg for migration, position in reached for leg in _ahead(migration, position)}
    known = instance.get_latest_materialization_events(list(keys))
    for key, leg in keys.items():
        passed = known.get(key)
        if passed is not None and passed.timestamp < before:
            yield no_longer_passed(instance, key, f"The ledger says that {leg} was taken back.")


def no_longer_passed(instance: DagsterInstance, key: AssetKey, note: str, **more: str) -> AssetObservation:
    """Take its green off the asset; gives what its page shall tell instead. Its runs keep what they have told."""
    instance.wipe_assets([key])
    return AssetObservation(key, metadata={"note": note, **more})


def _ahead(migration: Migration, reached: str) -> Sequence[Leg]:
    legs = possible_legs(migration)
    names = [str(leg) for leg in legs]
    return legs[names.index(reached) :] if reached in names else legs if reached == "undone" else ()


def _behind(migration: Migration, reached: str) -> Sequence[Leg]:
    legs = possible_legs(migration)
    names = [str(leg) for leg in legs]
    return legs[: names.index(reached)] if reached in names else legs if reached == "complete" else ()
