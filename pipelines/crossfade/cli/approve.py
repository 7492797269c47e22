"""crossfade approve: a person approves a plan, as the database role they log in with."""

from __future__ import annotations

from typing import Annotated

import typer

from crossfade.cli.project import MigrationName, ledger_to_write, migration_named, open_project


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
    from crossfade.execute.starting import frozen_plan

    project = open_project(ctx)
    plan = frozen_plan(project, migration_named(project, migration))
    with ledger_to_write(project.databases[plan.home]) as ledger:
        role = ledger.approve(plan.migration, team=team, plan_digest=plan.digest, reason=reason)
    typer.echo(f"{role} approved plan {plan.digest} of {plan.migration}{f' for {team}' if team else ''}")
