"""crossfade approve: a person approves a plan, as the database role they log in with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from crossfade.cli.project import MigrationName, migration_named, open_project
from crossfade.errors import CrossfadeError, UsageError

if TYPE_CHECKING:
    from crossfade.ledger import Ledger


def approve(
    ctx: typer.Context,
    migration: MigrationName,
    team: Annotated[
        str | None,
        typer.Option(metavar="ROLE", help="The team you approve for; you must be a member of that role."),
    ] = None,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Kept with the approval.")] = None,
) -> None:
    """Approve the plan of a migration that has started.

    Who approves is the role that logged in to the migration's database, not a name somebody typed. An approval is
    for one plan: when that changes, it counts no more.
    """
    from crossfade.execute.ledgers import writable_ledger
    from crossfade.execute.starting import frozen_plan

    project = open_project(ctx)
    plan = frozen_plan(project, migration_named(project, migration))
    with writable_ledger(project.databases[plan.home]) as ledger:
        if team is not None:
            _refuse_outsider(ledger, team)
        role = ledger.approve(plan.migration, team=team, plan_digest=plan.digest, reason=reason)
    typer.echo(f"{role} approved plan {plan.digest} of {plan.migration}{f' for {team}' if team else ''}")


def _refuse_outsider(ledger: Ledger, team: str) -> None:
    """An approval for a team one does not belong to would be kept and not count."""
    from psycopg import sql

    from crossfade.ledger import team_members

    members = team_members(ledger.connection, team)
    if members is None:
        raise UsageError(f"there is no role {team} in this database", fix="name the role that the gate says")
    row = ledger.connection.execute("SELECT session_user::text").fetchone()
    assert row is not None
    if row[0] not in members:
        grant = sql.SQL("GRANT {} TO {}").format(sql.Identifier(team), sql.Identifier(row[0])).as_string()
        raise CrossfadeError(f"{row[0]} is not a member of {team}", why="the approval would not count", fix=grant)
