"""Migrations that are long complete: one asset a database tells of them all, instead of a handful of assets each.

An asset costs Dagster about a millisecond whenever definitions are loaded, and every run loads them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from dagster import AssetSpec, MetadataValue, TableColumn, TableRecord, TableSchema
from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext, DefinitionsLoadType
from pydantic import TypeAdapter, ValidationError

from crossfade.execute.completed import read_completed
from crossfade.orchestrate.keys import history_group, history_key
from crossfade.report.measures import said_moment
from crossfade.spec import Migration, Project

RECENT = timedelta(days=7)  # for so long a migration that is complete keeps the assets that people look for
_WITHIN = 3.0  # seconds: definitions load while databases are down
_CACHE = "history.json"  # in the project's .crossfade: what the ledgers said when they last answered
_LISTED = 200
_KEY = "crossfade/history"
_COLUMNS = TableSchema(
    [TableColumn("migration", "string"), TableColumn("title", "string"), TableColumn("complete since", "string")]
)
_History = TypeAdapter(dict[str, datetime])  # of migrations, with when they were complete
_Completed = TypeAdapter(dict[str, dict[str, datetime]])  # the same by database, for each ledger's part

History = Mapping[str, datetime]


def known_history(project: Project) -> History:
    """The migrations of the project that are long complete, with when they were.

    A run must know the assets it was launched for: it is told what its code location found, and asks nobody.
    """
    context = DefinitionsLoadContext.get()
    if context.load_type == DefinitionsLoadType.RECONSTRUCTION and _KEY in context.reconstruction_metadata:
        return _History.validate_json(context.reconstruction_metadata[_KEY])
    completed, until = _read(project), datetime.now(UTC) - RECENT
    # A migration's own database is the last to say that it is complete.
    found = {each.id: completed.get(each.head.database, {}).get(each.id) for each in project.migrations}
    history = {name: since for name, since in found.items() if since is not None and since < until}
    if context.load_type == DefinitionsLoadType.INITIALIZATION:
        context.add_to_pending_reconstruction_metadata(_KEY, _History.dump_json(history).decode())
    return history


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


def _read(project: Project) -> dict[str, dict[str, datetime]]:
    """From the ledgers; of those that do not answer, as they were when they last did."""
    cache = project.root / ".crossfade" / _CACHE
    known: dict[str, dict[str, datetime]] = {}
    with suppress(OSError, ValidationError):
        known = _Completed.validate_json(cache.read_bytes())
    completed = known | read_completed(project.databases, within=_WITHIN)
    if completed != known:
        with suppress(OSError):  # the folder may be read-only
            cache.parent.mkdir(exist_ok=True)
            whole = cache.with_suffix(".tmp")
            whole.write_bytes(_Completed.dump_json(completed))
            whole.replace(cache)
    return completed
