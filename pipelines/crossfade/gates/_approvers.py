"""Whose approvals count: roles as the database authenticated them, people as a trusted issuer's tokens name them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from crossfade.composing import sql
from crossfade.gates._gate import GateContext
from crossfade.spec.approvals import issuer_and_group, unknown_issuer
from crossfade.spec.people import Identity, People
from crossfade.spec.settings import FILE

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
    """Who has approved this plan, and why others do not count, each person once.

    reasons: what those said who count. perhaps_same: may be one of those who count, approving as something else.
    strangers: whom the project does not name. began_unknown: four eyes are wanted, and who began it may be one of them.
    no_team: why nobody can be of the team. refused: why tokens were not trusted. before: who approved this plan when it
    was started an earlier time, and was undone.
    """

    team: str | None
    wanted: int
    valid: tuple[str, ...]
    reasons: tuple[str, ...]
    perhaps_same: tuple[str, ...]
    older: tuple[str, ...]
    before: tuple[str, ...]
    outsiders: tuple[str, ...]
    machines: tuple[str, ...]
    strangers: tuple[str, ...]
    own: tuple[str, ...]
    refused: tuple[str, ...]
    unread: int
    began_unknown: bool
    no_team: str | None

    @property
    def needed(self) -> int:
        """With one more, enough of them are not who began it, whoever that was."""
        return self.wanted + self.began_unknown

    @property
    def is_enough(self) -> bool:
        return self.no_team is None and len(self.valid) >= self.needed

    @property
    def evidence(self) -> dict[str, Any]:
        told = {"own": self.own, "perhaps_same": self.perhaps_same, "machines": self.machines}
        return {
            "from": self.team,
            "wanted": self.needed,
            "approved_by": list(self.valid),
            "older_plan": list(self.older),
            **{key: list(names) for key, names in told.items() if names},
        }

    @property
    def not_counted(self) -> list[str]:
        """A clause for each reason."""
        is_group = self.team is not None and issuer_and_group(self.team) is not None
        outside = f"not of {self.team}" if is_group else f"by a role that is not a member of {self.team}"
        said = [
            (len(self.older), "for an older plan"),
            (len(self.before), "from before it was last started"),
            (len(self.outsiders), outside),
            (len(self.machines), f"by a machine, as {FILE} says"),
            (len(self.strangers), f"by whom {FILE} does not name under `people`"),
            (len(self.perhaps_same), f"perhaps by one of them again: `people` in {FILE} can tell them apart"),
            (len(self.own), "by who began it, and four eyes are wanted"),
            (self.unread, "by a token that could not be read yet: its issuer's keys could not be had"),
        ]
        clauses = ["one more than wanted, for who began it may be one of them"] if self.began_unknown else []
        clauses += [f"{_approvals(count)} {why}" for count, why in said if count]
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
    the same plan again. The groups of a token are as it said. An earlier start, which was undone, was another occasion:
    who approved then did not know why it was undone.

    Counted are people. Where the project does not name them, a role and a token may be one person's, so only those are
    counted who approve in one way: by the database, or by one issuer, whichever are more.
    """
    team, people = approvers.from_, context.settings.who_is_who
    record = context.ledger.migration(context.migration)
    members, no_team = _members(context, team)
    began = _who_began(context, people) if approvers.four_eyes else _Began()
    valid: dict[str | None, set[str]] = {}
    counted: list[tuple[str | None, str]] = []
    older, before, outsiders, machines, strangers, own = (set[str]() for _ in range(6))
    refused: list[str] = []
    unread = 0
    for each in given:
        is_current = each.plan_digest == context.plan_digest
        identity = Identity(each.issuer, each.name)
        person = people.persons.get(identity)
        if each.is_unread:
            unread += is_current
        elif each.refused is not None:
            refused += [each.refused] if is_current else []
        elif not _may(each, team, members) or _is_distrusted(context, each):
            outsiders |= {each.approver} if is_current else set()
        elif not is_current:
            older.add(person or each.approver)
        elif record is not None and each.approved_at < record.started_at:
            before.add(person or each.approver)
        elif identity in people.machines:
            machines.add(each.approver)
        elif people.persons and person is None:
            strangers.add(each.approver)
        elif each.name in began.names or person in began.persons:
            own.add(person or each.approver)
        else:
            way = None if people.persons else each.issuer
            valid.setdefault(way, set()).add(person or each.approver)
            counted += [(way, each.reason)] if each.reason else []
    only = issuer_and_group(team) if team is not None else None
    way = max(valid, key=lambda by: (len(valid[by]), by is None, by or ""), default=only[0] if only else None)
    those = valid.pop(way, set[str]())
    return Tally(
        team,
        approvers.count,
        tuple(sorted(those)),
        tuple(dict.fromkeys(reason for by, reason in counted if by == way)),
        tuple(sorted(set[str]().union(*valid.values()))),
        tuple(sorted(older - those - own)),
        tuple(sorted(before - those - own)),
        tuple(sorted(outsiders)),
        tuple(sorted(machines)),
        tuple(sorted(strangers)),
        tuple(sorted(own)),
        tuple(dict.fromkeys(refused)),
        unread,
        began.may_hide(people, way),
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


@dataclass(frozen=True)
class _Began:
    """Who began a migration. names: of roles or in tokens. persons: as the project calls them. starter: None: nobody
    is to be kept out.
    """

    names: frozenset[str] = frozenset()
    persons: frozenset[str] = frozenset()
    starter: Identity | None = None

    def may_hide(self, people: People, way: str | None) -> bool:
        """Whether who started it may be among those who approve this way, unrecognized."""
        if self.starter is None:
            return False
        if people.persons:
            return self.starter not in people.persons
        return self.starter in people.machines or self.starter.issuer != way


def _who_began(context: GateContext, people: People) -> _Began:
    """Who started it, as a role or by a token, and its owner, where that is a name of somebody who may approve."""
    record, starter = context.ledger.migration(context.migration), context.ledger.started_by(context.migration)
    named = (
        starter.role if starter is not None else None,
        starter.identity if starter is not None else None,
        record.owner if record is not None else None,
    )
    names = frozenset(name for name in named if name)
    identity = Identity(starter.issuer, starter.identity or starter.role) if starter is not None else None
    return _Began(names, people.called(names), identity)
