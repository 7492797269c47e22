"""crossfade pause and resume: a person stops a migration after the batch or step at hand, and lets it go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from crossfade.cli.project import (
    MigrationName,
    database_named,
    ledger_to_write,
    migration_named,
    open_project,
    record_of,
)

if TYPE_CHECKING:
    from crossfade.ledger import Ledger


def pause(ctx: typer.Context, migration: MigrationName) -> None:
    """Stop a migration after the batch or step at hand, until it is resumed.

    What is done is kept, and triggers keep both sides in step. Whoever runs it, here or in Dagster, stops.
    """
    _everywhere(ctx, migration, lambda ledger: ledger.pause(migration))
    typer.echo(f"{migration} is paused: `crossfade resume {migration}` lets it go on")


def resume(ctx: typer.Context, migration: MigrationName) -> None:
    """Let a paused migration go on; `crossfade up` or Dagster takes it from there."""
    _everywhere(ctx, migration, lambda ledger: ledger.resume(migration))
    typer.echo(f"{migration} may go on: `crossfade up {migration}`")


def _everywhere(ctx: typer.Context, name: str, write: Callable[[Ledger], None]) -> None:
    """Write to the ledger of each of the migration's databases: a walk asks the one it is in."""
    from crossfade.execute import Blocked

    project = open_project(ctx)
    record = record_of(project, migration_named(project, name))
    if record.state == "complete":
        raise Blocked(f"{name} is complete", why="there is nothing that could be paused or go on")
    for database in record.plan["databases"]:
        with ledger_to_write(database_named(project, database)) as ledger:
            write(ledger)
