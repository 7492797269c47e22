"""Whose approvals count: roles as the database authenticated them, people as a trusted issuer's tokens name them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from crossfade.composing import sql
from crossfade.gates._gate import GateContext
from crossfade.spec.approvals import issuer_and_group, unknown_issuer

if TYPE_CHECKING:
    from crossfade.ledger import ApprovalRecord


class Approvers(Protocol):
    """Who may, how many must, and whether those who began it do not count."""

    @property
    def from_(self) -> str | None: ...
    @property
    def count(self) -> int: ...
    @property
    def four_eyes(self) -> bool: ...


@dataclass(frozen=True)
class Tally:
    """Who has approved this plan, and why others do not count, each approver once.

    no_team: why nobody can be of the team. refused: why tokens were not trusted.
    """

    team: str | None
    wanted: int
    valid: tuple[str, ...]
    older: tuple[str, ...]
    outsiders: tuple[str, ...]
    own: tuple[str, ...]
    refused: tuple[str, ...]
    unread: int
    no_team: str | None

    @property
    def is_enough(self) -> bool:
        return self.no_team is None and len(self.valid) >= self.wanted

    @property
    def evidence(self) -> dict[str, Any]:
        return {
            "from": self.team,
            "wanted": self.wanted,
            "approved_by": list(self.valid),
            "older_plan": list(self.older),
            **({"own": list(self.own)} if self.own else {}),
        }

    @property
    def not_counted(self) -> list[str]:
        """A clause for each reason."""
        is_group = self.team is not None and issuer_and_group(self.team) is not None
        outside = f"not of {self.team}" if is_group else f"by a role that is not a member of {self.team}"
        said = [
            (len(self.older), "for an older plan"),
            (len(self.outsiders), outside),
            (len(self.own), "by who began it, and four eyes are wanted"),
            (self.unread, "by a token that could not be read yet: its issuer's keys could not be had"),
        ]
        clauses = [f"{_approvals(count)} {why}" for count, why in said if count]
        return [*clauses, *(f"a token does not count: {why}" for why in self.refused)]


def _approvals(count: int) -> str:
    return "1 approval is" if count == 1 else f"{count} approvals are"


def take_in_approvals(context: GateContext) -> None:
    """Read the tokens that were presented, and write the event of each approval that has none yet.

    Read here and not where they were presented: what counts is the issuer's word, not that of the presenter's machine.
    """
    from crossfade.oidc import KeysUnavailable, TokenRefused, read_token

    ledger = context.ledger
    for presented in ledger.presented_tokens(context.migration):
        try:
            bearer = read_token(presented.token, context.settings.issuers, context.root, presented.approved_at)
        except TokenRefused as refused:
            ledger.refuse_token(presented.approval, refused.what)
        except KeysUnavailable:
            continue
        else:
            ledger.accept_token(presented.approval, issuer=bearer.issuer, identity=bearer.name, groups=bearer.groups)
    ledger.take_in_approvals(context.migration)


def tally(context: GateContext, approvers: Approvers, given: Iterable[ApprovalRecord]) -> Tally:
    """Count approvals of one kind, those of the gates or those of one override.

    As things are now: who has left the team, or its database, vouches for nothing; who has joined it need not approve
    the same plan again. The groups of a token are as it said.
    """
    team = approvers.from_
    members, no_team = _members(context, team)
    began = _who_began(context) if approvers.four_eyes else frozenset[str]()
    valid: set[str] = set()
    older: set[str] = set()
    outsiders: set[str] = set()
    own: set[str] = set()
    refused: list[str] = []
    unread = 0
    for each in given:
        is_current = each.plan_digest == context.plan_digest
        if each.is_unread:
            unread += is_current
        elif each.refused is not None:
            refused += [each.refused] if is_current else []
        elif not _may(each, team, members) or _is_distrusted(context, each):
            outsiders |= {each.approver} if is_current else set()
        elif not is_current:
            older.add(each.approver)
        elif (each.identity or each.role) in began:
            own.add(each.approver)
        else:
            valid.add(each.approver)
    return Tally(
        team,
        approvers.count,
        tuple(sorted(valid)),
        tuple(sorted(older - valid - own)),
        tuple(sorted(outsiders)),
        tuple(sorted(own)),
        tuple(dict.fromkeys(refused)),
        unread,
        no_team,
    )


def _members(context: GateContext, team: str | None) -> tuple[frozenset[str], str | None]:
    """The roles that are of the team, and why there can be nobody in it."""
    from crossfade.ledger import team_members

    if team is None:
        return frozenset(), None
    if issuer_and_group(team) is not None:
        return frozenset(), unknown_issuer(team, context.settings.issuers)
    members = team_members(context.ledger.connection, team)
    if members is not None:
        return members, None
    quoted = sql.Identifier(team).as_string()
    why = (
        f"there is no role {team} in database {context.database}: CREATE ROLE {quoted} NOLOGIN; then"
        f" GRANT {quoted} TO each role that may approve"
    )
    return frozenset(), why


def _may(approval: ApprovalRecord, team: str | None, members: frozenset[str]) -> bool:
    if team is None:
        return True
    group = issuer_and_group(team)
    if group is None:
        return approval.issuer is None and approval.role in members
    return approval.issuer == group[0] and group[1] in approval.groups


def _is_distrusted(context: GateContext, approval: ApprovalRecord) -> bool:
    """Its issuer has been taken out of the project's settings since."""
    return approval.issuer is not None and approval.issuer not in context.settings.issuers


def _who_began(context: GateContext) -> frozenset[str]:
    """The role that started the migration, and its owner, where that is a name of somebody who may approve."""
    record = context.ledger.migration(context.migration)
    owner = record.owner if record is not None else None
    return frozenset(name for name in (context.ledger.started_by(context.migration), owner) if name)
