"""crossfade pause and resume: a person stops a migration after the batch or step at hand, and lets it go on."""

from __future__ import annotations

import typer

from crossfade.cli.project import MigrationName, open_project, record_of


def pause(ctx: typer.Context, migration: MigrationName) -> None:
    """Stop a migration after the batch or step at hand, until it is resumed.

    What is done is kept, and triggers keep both sides in step. Whoever runs it, here or in Dagster, stops. An index
    that is being built is given up, and built anew when it goes on.
    """
    from crossfade import execute

    project = open_project(ctx)
    execute.pause(project, record_of(project, migration).id)
    typer.echo(f"{migration} is paused: `crossfade resume {migration}` lets it go on")


def resume(ctx: typer.Context, migration: MigrationName) -> None:
    """Let a paused migration go on; `crossfade up` or Dagster takes it from there."""
    from crossfade import execute

    project = open_project(ctx)
    execute.resume(project, record_of(project, migration).id)
    typer.echo(f"{migration} may go on: `crossfade up {migration}`")
