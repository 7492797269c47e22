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
    from crossfade.ledger import Ledger
    from crossfade.oidc import Bearer
    from crossfade.plan import Plan
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
    from crossfade.execute.ledgers import writable_ledger
    from crossfade.execute.overriding import gate_to_override
    from crossfade.execute.starting import frozen_plan

    if override is None and at is not None:
        raise UsageError("--at says where a gate stands that is overridden", fix="add --override GATE, or leave it out")
    if override is not None and not (reason or "").strip():
        raise UsageError(
            "an override needs a reason",
            why="it stays in the audit, for whoever asks later why the gate was passed",
            fix="add --reason TEXT",
        )
    project = open_project(ctx)
    bearer, token = _presented(project) if oidc else (None, None)
    plan = frozen_plan(project, migration_named(project, migration))
    gate = gate_to_override(plan, override, at) if override is not None else None
    with writable_ledger(project.databases[plan.home]) as ledger:
        for wanted in filter(None, (team, _overriders(plan, project) if gate is not None else None)):
            _refuse_outsider(ledger, wanted, bearer)
        role = ledger.approve(
            plan.migration, team=team, plan_digest=plan.digest, reason=reason, overrides=gate, token=token
        )
    who = f"{bearer.name} ({bearer.issuer})" if bearer is not None else role
    what = f"an override of `{gate[1]}` {gate[0]} in plan" if gate is not None else "plan"
    typer.echo(f"{who} approved {what} {plan.digest} of {plan.migration}{f' for {team}' if team else ''}")


def _presented(project: Project) -> tuple[Bearer, str]:
    """Whom the token of the environment names, and the token. Its reader is the engine; a wrong one is told here."""
    from crossfade.oidc import read_token

    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not token:
        raise UsageError(
            f"the environment variable {TOKEN_VARIABLE} is not set",
            why="with --oidc, who approves is whom the token in it names",
            fix="let the CI put its OIDC token there: docs/approvals.md",
        )
    try:
        return read_token(token, project.settings.issuers, project.root, datetime.now(UTC)), token
    except CrossfadeError as error:
        raise type(error)(
            f"the token in {TOKEN_VARIABLE} does not count: {error.what}", why=error.why, fix=error.fix
        ) from None


def _overriders(plan: Plan, project: Project) -> str:
    from crossfade.execute.overriding import override_rule
    from crossfade.spec.settings import FILE

    rule = override_rule(plan, project.settings)
    if rule is None:
        raise CrossfadeError(
            f"nobody may override a gate of {plan.migration}",
            why=f"neither its spec nor {FILE} says who",
            fix=f"write e.g. `override: {{from: release_managers}}` into {FILE}, and have that reviewed",
        )
    return rule.from_


def _refuse_outsider(ledger: Ledger, team: str, bearer: Bearer | None) -> None:
    """An approval for a team one does not belong to would be kept and not count."""
    from crossfade.spec.approvals import issuer_and_group

    group = issuer_and_group(team)
    if group is not None and bearer is not None and bearer.issuer == group[0] and group[1] in bearer.groups:
        return
    if group is not None:
        who = "a role of the database" if bearer is None else f"{bearer.name} ({bearer.issuer})"
        raise CrossfadeError(
            f"{who} is not of {team}", why="the approval would not count", fix="use --oidc, in the group"
        )
    if bearer is not None:
        raise CrossfadeError(
            f"{bearer.name} ({bearer.issuer}) is not a member of {team}, which is a role of the database",
            why="the approval would not count",
            fix="approve as a role, without --oidc; or let the spec name a group of the issuer",
        )
    _refuse_other_role(ledger, team)


def _refuse_other_role(ledger: Ledger, team: str) -> None:
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
