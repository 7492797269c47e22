"""Migrations that are long complete: one asset a database tells of them all, instead of a handful of assets each.

An asset costs Dagster about a millisecond whenever definitions are loaded, and every run loads them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from dagster import AssetSpec, MetadataValue, TableColumn, TableRecord, TableSchema

from crossfade.orchestrate.keys import history_group, history_key
from crossfade.report.measures import said_moment
from crossfade.spec import Migration

RECENT = timedelta(days=7)  # for so long a migration that is complete keeps the assets that people look for
_LISTED = 200
_COLUMNS = TableSchema(
    [TableColumn("migration", "string"), TableColumn("title", "string"), TableColumn("complete since", "string")]
)

History = Mapping[str, datetime]  # of migrations that are long complete, with when they were


def history_assets(migrations: Sequence[Migration], history: History) -> Iterable[AssetSpec]:
    """One asset for each database that has a history. migrations: of the project, in order."""
    for database in dict.fromkeys(migration.head.database for migration in migrations):
        past = [each for each in migrations if each.head.database == database and each.id in history]
        if past:
            yield _asset(database, sorted(past, key=lambda each: history[each.id], reverse=True), history)


def _asset(database: str, past: Sequence[Migration], history: History) -> AssetSpec:
    listed = [
        {"migration": each.id, "title": each.head.title, "complete since": said_moment(history[each.id])}
        for each in past[:_LISTED]
    ]
    count = f"{len(past):,} migrations of {database} are" if len(past) > 1 else f"1 migration of {database} is"
    newest = f", the newest {_LISTED} of them below" if len(past) > _LISTED else ""
    return AssetSpec(
        history_key(database),
        group_name=history_group(database),
        kinds={"postgres"},
        description=f"{count} complete for more than {RECENT.days} days{newest}. What was done is in the ledger:"
        " `crossfade audit log MIGRATION`.",
        metadata={
            "migrations": len(past),
            "history": MetadataValue.table([TableRecord(row) for row in listed], schema=_COLUMNS),
        },
    )
