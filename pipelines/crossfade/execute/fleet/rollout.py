"""A migration over a fleet, forward: wave by wave up to contract, and contract once every member stands before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from crossfade.errors import CrossfadeError, Problem
from crossfade.execute import gatekeeper
from crossfade.execute.errors import Blocked, SpecEdited
from crossfade.execute.fleet.at_once import AtOnce
from crossfade.execute.fleet.drift import refuse_drifted
from crossfade.execute.fleet.members import resolve_members
from crossfade.execute.fleet.roster import Roster, note_roster
from crossfade.execute.fleet.standing import Standing, read_standing, read_standings
from crossfade.execute.gatekeeper import Waiting
from crossfade.execute.notice import Listener, ignore
from crossfade.execute.runner import Outcome, Runner
from crossfade.execute.session import open_session
from crossfade.gates import Gate
from crossfade.ledger import LeaseTaken, Ledger
from crossfade.plan import Plan
from crossfade.spec import Fleet, Member, Migration, Project, Wave
from crossfade.spec.model import PHASES

_BEFORE_CONTRACT = PHASES[-2]

FleetEnded = Literal["complete", "reached", "waiting", "halted"]


@dataclass(frozen=True)
class MemberEnded:
    """What came of one member; failure: why it did not go on, None when nothing is wrong."""

    migration: str
    member: str
    wave: str
    outcome: Outcome | None
    failure: CrossfadeError | None = None


@dataclass(frozen=True)
class FleetOutcome:
    """How a rollout ended.

    halted: members failed. failed: why, by name. waiting: gates before the next wave. behind: members that wait for
    something of their own. roster: who came and went since the rollout before.
    """

    migration: str
    ended: FleetEnded
    members: int
    failed: Mapping[str, CrossfadeError] = field(default_factory=dict[str, CrossfadeError])
    waiting: tuple[Waiting, ...] = ()
    behind: tuple[str, ...] = ()
    roster: Roster = field(default_factory=Roster)


class Rollout:
    """Takes one migration forward in a fleet. It keeps nothing: what is done, the members' ledgers tell.

    listen: hears what came of each member, in the thread that called. hear: makes the listener of a member's run.
    let_by: the issuer, and whom its token names of whoever lets it, for the members that it starts.
    """

    def __init__(
        self,
        project: Project,
        migration: Migration,
        listen: Callable[[MemberEnded], None],
        hear: Callable[[Project, Member], Listener] = lambda _project, _member: ignore,
        *,
        let_by: tuple[str, str] | None = None,
    ) -> None:
        self._project = project
        self._migration = migration
        self._fleet: Fleet = project.fleets[migration.head.database]
        self._listen = listen
        self._hear = hear
        self._let_by = let_by
        self._failed: dict[str, CrossfadeError] = {}
        self._behind: list[str] = []
        self._roster = Roster()

    def advance(self, through: str | None = None) -> FleetOutcome:
        """Go on as far as gates and members allow, at most through the phase or stage of that name.

        Raises FleetError when the members cannot be told, SpecEdited when the spec is not the one they began with.
        """
        members = resolve_members(self._project, self._fleet)
        waves = self._fleet.in_waves(members)
        canary = waves[0].members[0]
        standings = read_standings(self._fleet, members, self._migration.id)
        self._refuse_edited(standings)
        reference = self._plan_of(canary)
        target = None if through == "contract" else through
        for leg in (target,) if target in PHASES else (_BEFORE_CONTRACT, target):
            waiting = self._wave_by_wave(waves, standings, leg, reference)
            if self._failed or waiting or self._behind:
                ended = "halted" if self._failed else "waiting"
                behind = tuple(self._behind)
                return FleetOutcome(
                    self._migration.id, ended, len(members), self._failed, waiting, behind, self._roster
                )
        ended = "complete" if all(each.state == "complete" for each in standings.values()) else "reached"
        return FleetOutcome(self._migration.id, ended, len(members), roster=self._roster)

    def _plan_of(self, canary: Member) -> Plan:
        try:
            return Runner(self._project.of_member(self._fleet, canary)).plan(self._migration)
        except CrossfadeError as error:
            error.problems += (Problem(f"this is {canary.name}, the first member of the first wave"),)
            raise

    def _wave_by_wave(
        self, waves: tuple[Wave, ...], standings: dict[str, Standing], leg: str | None, reference: Plan
    ) -> tuple[Waiting, ...]:
        """Take each wave through the leg; gives the gates that hold up the next one."""
        canary = waves[0].members[0]
        ended: list[float] = []
        for index, wave in enumerate(waves):
            left = [member for member in wave.members if not standings[member.name].has_passed(leg)]
            if left and index:
                self._note(waves, canary)
                if waiting := self._held_up(wave, leg, canary, reference, max(ended, default=None)):
                    return waiting
            self._advance(wave.name, left, standings, leg, canary, reference)
            if self._behind or len(self._failed) > self._fleet.failures:
                break
            moments = (standings[member.name].moment(leg) for member in wave.members)
            ended += [moment for moment in moments if moment is not None]
        self._note(waves, canary)
        return ()

    def _advance(
        self,
        wave: str,
        members: list[Member],
        standings: dict[str, Standing],
        leg: str | None,
        canary: Member,
        reference: Plan,
    ) -> None:
        def make(member: Member) -> Runner:
            project = self._project.of_member(self._fleet, member)
            return Runner(project, self._hear(project, member), let_by=self._let_by)

        def act(runner: Runner, member: Member) -> Outcome:
            def accept(plan: Plan) -> None:
                if not standings[member.name].has_started:
                    refuse_drifted(member, plan, canary, reference)

            return runner.advance(self._migration, through=leg, accept=accept)

        def hear(member: Member, found: Outcome | CrossfadeError) -> bool:
            standings[member.name] = read_standing(member, self._migration.id)
            outcome, failure = (found, None) if isinstance(found, Outcome) else (None, found)
            self._listen(MemberEnded(self._migration.id, member.name, wave, outcome, failure))
            if failure is not None and not isinstance(failure, LeaseTaken):
                self._failed[member.name] = failure
            elif not standings[member.name].has_passed(leg):
                # Its own gates hold it up, or another runner is at it, which tells what comes of it.
                self._behind.append(member.name)
            return len(self._failed) <= self._fleet.failures

        AtOnce(self._fleet, make, act).each(members, hear)

    def _held_up(
        self, wave: Wave, leg: str | None, canary: Member, plan: Plan, since: float | None
    ) -> tuple[Waiting, ...]:
        """The gates before a wave that do not hold; the canary's ledger keeps the answers, and the approvals."""
        gates = [entry.body for entry in wave.gates]
        point = f"before wave {wave.name}" + ("" if leg in PHASES else " of contract")
        with closing(open_session(canary.database, "crossfade fleet")) as connection:
            return gatekeeper.ask(
                plan,
                point,
                project=self._project.of_member(self._fleet, canary),
                ledger=Ledger(connection),
                since=datetime.fromtimestamp(since, UTC) if since is not None else None,
                listen=ignore,
                also=[gate for gate in gates if isinstance(gate, Gate)],
            )

    def _note(self, waves: tuple[Wave, ...], canary: Member) -> None:
        names = sorted(member.name for wave in waves for member in wave.members)
        self._roster |= note_roster(canary, self._migration.id, names)

    def _refuse_edited(self, standings: Mapping[str, Standing]) -> None:
        begun = [each for each in standings.values() if each.has_started and each.has_begun]
        if edited := [each.member.name for each in begun if each.spec != self._migration.digest]:
            raise SpecEdited(
                f"{self._migration.path.name} was edited after {self._migration.id} started in {len(edited)} of"
                f" {len(standings)} members: {edited[0]}{', ...' if len(edited) > 1 else ''}",
                where=self._migration.position("migration"),
                why="a spec that has started is frozen: all members of a fleet go the way that was reviewed",
                fix="restore the file; what shall be different goes into a new spec",
            )
        if back := [name for name, each in standings.items() if each.state == "undoing"]:
            raise Blocked(
                f"{self._migration.id} is being undone in {back[0]}{', ...' if len(back) > 1 else ''}",
                fix=f"finish with `crossfade rollback {self._migration.id}`",
            )
