"""approval: people approve the plan, each as the role they log in with, or by the token of an issuer."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from crossfade.gates._approvers import Tally, take_in_approvals, tally
from crossfade.gates._gate import Answer, Gate, GateContext
from crossfade.spec.approvals import Team
from crossfade.spec.custody import Leaving
from crossfade.spec.values import SpecModel


class Approval(SpecModel):
    """Who must approve, and how many of them."""

    from_: Team | None = Field(
        None,
        alias="from",
        description="A PostgreSQL role, whose members may approve; or ISSUER:GROUP, for whom a token of that issuer"
        " names the group. Default: whoever can log in, or has a token that is trusted.",
        examples=["team_identity", "github:production"],
    )
    count: Annotated[int, Field(ge=1)] = Field(1, description="How many different people must approve.")
    four_eyes: bool = Field(
        False, description="true: who started the migration, or is its owner by name, does not count."
    )
    lets: tuple[Leaving, ...] = Field(
        (), description="What of rows that go to another database is approved with it; before expand only."
    )


class ApprovalGate(Gate):
    """Hold when enough people have approved this very plan with `crossfade approve`."""

    approval: Approval

    @property
    def team(self) -> str | None:
        """Whose approval is waited for."""
        return self.approval.from_

    @property
    def label(self) -> str:
        team = f" from {self.approval.from_}" if self.approval.from_ else ""
        by = f" by {self.approval.count}" if self.approval.count > 1 else ""
        lets = f" that rows {' and '.join(each.replace('_', ' ') for each in self.approval.lets)}"
        return f"approval{by}{team}{lets if self.approval.lets else ''}"

    def ask(self, context: GateContext) -> Answer:
        take_in_approvals(context)
        given = [each for each in context.ledger.approvals(context.migration) if each.gate is None]
        found = tally(context, self.approval, given)
        if found.no_team is not None:
            return Answer("waits", found.no_team, evidence=found.evidence)
        if found.is_enough:
            return Answer("holds", f"approved by {', '.join(found.valid)}", evidence=found.evidence)
        reasons = [f"{_missing(found)}: `crossfade approve {context.migration}`", *found.not_counted]
        return Answer("waits", "; ".join(reasons), evidence=found.evidence)


def _missing(found: Tally) -> str:
    """How many have to approve yet, and who may."""
    missing = found.needed - len(found.valid)
    if missing == 1 and not found.valid:
        return f"{f'a member of {found.team}' if found.team else 'somebody'} has to approve"
    one, several = (f"member of {found.team}", f"members of {found.team}") if found.team else ("person", "people")
    more = " more" if found.valid else ""
    return f"{missing}{more} {one} has to approve" if missing == 1 else f"{missing}{more} {several} have to approve"
