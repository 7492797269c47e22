"""Approving a plan, or an override of one of its gates: as the role that logs in, or as whom a token names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg import sql

from crossfade.errors import CrossfadeError, UsageError
from crossfade.execute.errors import Blocked
from crossfade.execute.going_on import command_to_go_on
from crossfade.execute.ledgers import writable_ledger
from crossfade.execute.overriding import gate_to_override, override_rule
from crossfade.execute.starting import frozen_plan
from crossfade.ledger import Ledger, team_members
from crossfade.plan import Plan
from crossfade.spec import Migration, Project
from crossfade.spec.approvals import issuer_and_group
from crossfade.spec.people import Identity
from crossfade.spec.settings import FILE

if TYPE_CHECKING:
    from crossfade.oidc import Bearer


@dataclass(frozen=True)
class Presented:
    """A token that was read, and whom it names."""

    bearer: Bearer
    text: str


@dataclass(frozen=True)
class Approved:
    """by: who. gate: the point and the label of the one that is overridden; None: the plan itself is approved."""

    by: str
    plan: Plan
    gate: tuple[str, str] | None
    team: str | None

    def __str__(self) -> str:
        what = f"an override of `{self.gate[1]}` {self.gate[0]} in plan" if self.gate is not None else "plan"
        team = f" for {self.team}" if self.team else ""
        return f"{self.by} approved {what} {self.plan.digest} of {self.plan.migration}{team}"


def approve(
    project: Project,
    migration: Migration,
    *,
    team: str | None = None,
    override: str | None = None,
    at: str | None = None,
    reason: str | None = None,
    presented: Presented | None = None,
) -> Approved:
    """Approve the plan of a migration that has started, or open one gate of it.

    team: for whom. override, at: the label of the gate, and its point where it stands at several. presented: who
    approves, where that is not the role that logs in. Raises CrossfadeError when the approval would not count, and
    UsageError when there is no such gate or an override has no reason.
    """
    if override is None and at is not None:
        raise UsageError(
            "--at says where a gate stands that is overridden", fix="name it with --override, or leave out --at"
        )
    if override is not None and not (reason or "").strip():
        raise UsageError(
            "an override needs a reason",
            why="it stays in the audit, for whoever asks later why the gate was passed",
            fix="say why",
        )
    plan = frozen_plan(project, migration)
    gate = gate_to_override(plan, override, at) if override is not None else None
    bearer = presented.bearer if presented is not None else None
    with writable_ledger(project.databases[plan.home]) as ledger:
        _refuse_too_late(ledger, plan, gate)
        _refuse_nobody(project, Identity(bearer.issuer, bearer.name) if bearer else Identity(None, _role(ledger)))
        for wanted in filter(None, (team, _overriders(plan, project) if gate is not None else None)):
            _refuse_outsider(ledger, wanted, bearer)
        role = ledger.approve(
            plan.migration,
            team=team,
            plan_digest=plan.digest,
            reason=reason,
            overrides=gate,
            token=presented.text if presented is not None else None,
        )
    return Approved(f"{bearer.name} ({bearer.issuer})" if bearer is not None else role, plan, gate, team)


def _refuse_too_late(ledger: Ledger, plan: Plan, gate: tuple[str, str] | None) -> None:
    """An approval that no gate will ask for any more would be kept and open nothing."""
    record, legs = ledger.migration(plan.migration), ledger.legs(plan.migration)
    assert record is not None
    if record.state == "complete":
        raise Blocked(f"{plan.migration} is complete", why="none of its gates is asked any more")
    if record.state == "undoing":
        raise Blocked(
            f"{plan.migration} is being taken back",
            why="an approval from before it is started anew does not count",
            fix=f"{command_to_go_on(plan.migration, record.state, record.undo_to)} finishes that",
        )

    def is_past(point: str) -> bool:
        moment, leg = point.split(" ", 1)
        known = legs.get(leg)
        return known is not None and (known.finished_at if moment == "before" else known.passed_at) is not None

    points = [at.point for at in plan.gates if any(planned.kind == "approval" for planned in at.gates)]
    if gate is not None and is_past(gate[0]):
        raise Blocked(f"{plan.migration} has passed `{gate[1]}` {gate[0]}", why="that gate is not asked any more")
    if gate is None and points and all(map(is_past, points)):
        raise Blocked(f"{plan.migration} has passed all gates that ask for an approval", why="none is asked any more")


def _overriders(plan: Plan, project: Project) -> str:
    rule = override_rule(plan, project.settings)
    if rule is None:
        raise CrossfadeError(
            f"nobody may override a gate of {plan.migration}",
            why=f"neither its spec nor {FILE} says who",
            fix=f"write e.g. `override: {{from: release_managers}}` into {FILE}, and have that reviewed",
        )
    return rule.from_


def _refuse_nobody(project: Project, identity: Identity) -> None:
    """An approval by what is no person, or by nobody knows whom, would be kept and not count."""
    people = project.settings.who_is_who
    said = f"{identity.issuer}:{identity.name}" if identity.issuer is not None else identity.name
    if identity in people.machines:
        raise CrossfadeError(
            f"{said} is a machine, as {FILE} says",
            why="the approval would not count",
            fix="approve as a role of your own, or with --oidc",
        )
    if people.persons and identity not in people.persons:
        raise CrossfadeError(
            f"{FILE} does not say whose {said} is",
            why="it says who is who, so the approval would not count",
            fix=f"name it there, under `people`, e.g. `ada: [{said}]`, and have that reviewed",
        )


def _refuse_outsider(ledger: Ledger, team: str, bearer: Bearer | None) -> None:
    """An approval for a team one does not belong to would be kept and not count."""
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
    members = team_members(ledger.connection, team)
    if members is None:
        raise UsageError(f"there is no role {team} in this database", fix="name the role that the gate says")
    role = _role(ledger)
    if role not in members:
        grant = sql.SQL("GRANT {} TO {}").format(sql.Identifier(team), sql.Identifier(role)).as_string()
        raise CrossfadeError(f"{role} is not a member of {team}", why="the approval would not count", fix=grant)


def _role(ledger: Ledger) -> str:
    row = ledger.connection.execute("SELECT session_user::text").fetchone()
    assert row is not None
    return row[0]
