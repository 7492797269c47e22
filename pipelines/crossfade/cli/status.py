"""crossfade status: where every migration stands."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import typer

from crossfade.cli.failure import print_problems
from crossfade.cli.project import AsJson, open_project
from crossfade.cli.terminal import err, out

if TYPE_CHECKING:
    from crossfade.execute.fleet import Standing
    from crossfade.spec import Migration, Project, Wave


def status(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Show where every migration stands, what it waits for and since when; of a fleet's, how many members are how far.

    Exit code 1 when a database does not answer or a spec is wrong; the others are shown all the same.
    """
    from crossfade.execute.status import read_status
    from crossfade.report import fleet_json, print_fleet, print_status, status_json

    project = open_project(ctx)
    found = read_status(project)
    fleets = list(_of_fleets(project))
    if as_json:
        data = [*status_json(found), *(fleet_json(*each) for each in fleets)]
        typer.echo(json.dumps(data, indent=2, ensure_ascii=False))
    elif found:
        print_status(found, out())
    elif not project.of_fleets:
        typer.echo("there are no migrations yet; a migration is a file in migration_specs/")
    for each in () if as_json else fleets:
        print_fleet(*each, out())
    wrong = [*dict.fromkeys(error for each in found for error in each.unasked), *project.broken]
    for error in wrong:
        print_problems(error.problems, err())
    if wrong or any(each.state == "unreachable" for *_, standings in fleets for each in standings.values()):
        raise typer.Exit(1)


def _of_fleets(project: Project) -> Iterator[tuple[Migration, tuple[Wave, ...], Mapping[str, Standing]]]:
    """Each migration of a fleet, with its waves and where each member stands."""
    from crossfade.execute.fleet import read_standings, resolve_members

    for migration in project.of_fleets:
        fleet = project.fleets[migration.head.database]
        members = resolve_members(project, fleet)
        yield migration, fleet.in_waves(members), read_standings(fleet, members, migration.id)
