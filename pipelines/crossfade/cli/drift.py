"""crossfade drift: what of the schema no migration has made."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossfade.cli.project import AsJson, database_named, open_project
from crossfade.errors import UsageError

if TYPE_CHECKING:
    from crossfade.execute.drift import Drift


def drift(
    ctx: typer.Context,
    database: Annotated[
        str | None,
        typer.Argument(metavar="DATABASE", help="Only this one; default: all.", show_default=False),
    ] = None,
    accept: Annotated[
        bool, typer.Option("--accept", metavar="", help="Take what differs as right from now on.")
    ] = False,
    because: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Why, for the audit; with --accept.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell how a database's schema differs from what migrations have made of it.

    Exit code 1 when it does, unless that is accepted: an accepted difference is what is expected from then on, with an
    event in the audit that tells it and why.
    """
    from crossfade.execute.drift import accept_drift, read_drift
    from crossfade.report.drift import drift_json, drift_lines

    if accept != bool(because and because.strip()):
        raise UsageError(
            "--accept and --because go together",
            why="whoever reads the audit later wants to know why a change by hand was right",
            fix='write e.g. --accept --because "index for the slow report, #412"',
        )
    project = open_project(ctx)
    chosen = [database_named(project, database)] if database is not None else [*project.databases.values()]
    found: list[Drift] = []
    for each in chosen:
        found.append(accept_drift(each, because) if because else read_drift(each))
        if not as_json:
            for line in drift_lines(found[-1], accepted=accept):
                typer.echo(line)
    if as_json:
        data: list[dict[str, Any]] = [drift_json(each) for each in found]
        typer.echo(json.dumps(data, indent=2, ensure_ascii=False))
    if not accept and any(each.differences for each in found):
        raise typer.Exit(1)
