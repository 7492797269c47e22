"""crossfade approve: a person approves a plan, or an override of one gate, as a database role or by an OIDC token."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from crossfade.cli.failure import TOKEN_VARIABLE
from crossfade.cli.project import MigrationName, migration_named, open_project
from crossfade.errors import CrossfadeError, UsageError

if TYPE_CHECKING:
    from crossfade.execute.approving import Presented
    from crossfade.spec import Project


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

    if override is None and at is not None:
        raise UsageError("--at says where a gate stands that is overridden", fix="add --override GATE, or leave it out")
    project = open_project(ctx)
    presented = _presented(project) if oidc else None
    chosen = migration_named(project, migration)
    said = approve_plan(project, chosen, team=team, override=override, at=at, reason=reason, presented=presented)
    typer.echo(str(said))


def _presented(project: Project) -> Presented:
    """Whom the token of the environment names, and the token. Its reader is the engine; a wrong one is told here."""
    from crossfade.execute.approving import Presented
    from crossfade.oidc import read_token

    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not token:
        raise UsageError(
            f"the environment variable {TOKEN_VARIABLE} is not set",
            why="with --oidc, who approves is whom the token in it names",
            fix="let the CI put its OIDC token there: docs/approvals.md",
        )
    try:
        return Presented(read_token(token, project.settings.issuers, project.root, datetime.now(UTC)), token)
    except CrossfadeError as error:
        raise type(error)(
            f"the token in {TOKEN_VARIABLE} does not count: {error.what}", why=error.why, fix=error.fix
        ) from None
