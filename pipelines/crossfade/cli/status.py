"""crossfade status: where every migration stands."""

from __future__ import annotations

import json

import typer

from crossfade.cli.failure import print_problems
from crossfade.cli.project import AsJson, open_project
from crossfade.cli.terminal import err, out


def status(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Show where every migration stands, what it waits for and since when.

    Exit code 1 when a database does not answer or a spec is wrong; the others are shown all the same.
    """
    from crossfade.execute.status import read_status
    from crossfade.report import print_status, status_json

    project = open_project(ctx)
    found = read_status(project)
    if as_json:
        typer.echo(json.dumps(status_json(found), indent=2, ensure_ascii=False))
    elif found:
        print_status(found, out())
    else:
        typer.echo("there are no migrations yet; a migration is a file in migration_specs/")
    wrong = [*dict.fromkeys(error for each in found for error in each.unasked), *project.broken]
    for error in wrong:
        print_problems(error.problems, err())
    if wrong:
        raise typer.Exit(1)
