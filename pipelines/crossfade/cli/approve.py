"""crossfade approve: a person approves a plan, or an override of one gate, as a database role or by an OIDC token."""

from __future__ import annotations

from typing import Annotated

import typer

from crossfade.cli.failure import TOKEN_VARIABLE
from crossfade.cli.project import MigrationName, migration_named, open_project
from crossfade.cli.token import presented_token


def approve(
    ctx: typer.Context,
    migration: MigrationName,
    team: Annotated[
        str | None,
        typer.Option(
            metavar="TEAM", help="The team you approve for: a role that you are a member of, or ISSUER:GROUP."
        ),
    ] = None,
    override: Annotated[
        str | None,
        typer.Option(metavar="GATE", help="Open this one gate, as `crossfade status` calls it; needs a reason."),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(metavar="POINT", help="Where that gate stands, if at several points, e.g. 'before retire'."),
    ] = None,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Kept with the approval.")] = None,
    oidc: Annotated[
        bool, typer.Option("--oidc", metavar="", help=f"Approve as whom the token in {TOKEN_VARIABLE} names, in CI.")
    ] = False,
) -> None:
    """Approve the plan of a migration that has started.

    Who approves is the role that logged in to the migration's database, or whom an issuer's token names, and not a
    name somebody typed. An approval is for one plan: when that changes, it counts no more.
    """
    from crossfade.execute.approving import approve as approve_plan

    project = open_project(ctx)
    presented = presented_token(project) if oidc else None
    chosen = migration_named(project, migration)
    said = approve_plan(project, chosen, team=team, override=override, at=at, reason=reason, presented=presented)
    typer.echo(str(said))
