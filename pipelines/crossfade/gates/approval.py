"""approval: people approve the plan, each as the role they log in with."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from crossfade.composing import sql
from crossfade.gates._gate import Answer, Gate, GateContext
from crossfade.spec.values import Identifier, SpecModel


class Approval(SpecModel):
    """Who must approve, and how many of them."""

    from_: Identifier | None = Field(
        None,
        alias="from",
        description="A PostgreSQL role: its members may approve. Default: whoever can log in.",
        examples=["team-identity"],
    )
    count: Annotated[int, Field(ge=1)] = Field(1, description="How many different roles must approve.")


class ApprovalGate(Gate):
    """Hold when enough people have approved this very plan with `crossfade approve`."""

    approval: Approval

    @property
    def label(self) -> str:
        team = f" from {self.approval.from_}" if self.approval.from_ else ""
        return f"approval{team}" if self.approval.count == 1 else f"approval by {self.approval.count}{team}"

    def ask(self, context: GateContext) -> Answer:
        from crossfade.ledger import team_members

        team, count = self.approval.from_, self.approval.count
        context.ledger.take_in_approvals(context.migration)
        given = context.ledger.approvals(context.migration)
        current = [each for each in given if each.plan_digest == context.plan_digest]
        # As things are now: who has left the team, or its database, vouches for nothing; who has joined it need not
        # approve the same plan again.
        members = team_members(context.ledger.connection, team) if team is not None else None
        may = {each.role for each in given} if team is None else members or frozenset[str]()
        valid = {each.role for each in current} & may
        older = {each.role for each in given} & may - valid
        outsiders = {each.role for each in current} - valid
        evidence = {"from": team, "wanted": count, "approved_by": sorted(valid), "older_plan": sorted(older)}
        if team is not None and members is None:
            quoted = sql.Identifier(team).as_string()
            reason = (
                f"there is no role {team} in database {context.database}: CREATE ROLE {quoted} NOLOGIN; then"
                f" GRANT {quoted} TO each role that may approve"
            )
            return Answer("waits", reason, evidence=evidence)
        if len(valid) >= count:
            return Answer("holds", f"approved by {', '.join(sorted(valid))}", evidence=evidence)
        by = f" as a member of {team}" if team else ""
        missing = f"{count - len(valid)} of {count} approvals missing"
        reasons = [f"{missing}: `crossfade approve {context.migration}`{by}"]
        if older:
            reasons.append(f"{_approvals(len(older))} for an older plan")
        if outsiders:
            reasons.append(f"{_approvals(len(outsiders))} by a role that is not a member of {team}")
        return Answer("waits", "; ".join(reasons), evidence=evidence)


def _approvals(count: int) -> str:
    return "1 approval is" if count == 1 else f"{count} approvals are"
