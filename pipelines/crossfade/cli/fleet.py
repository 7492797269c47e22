"""A run over migrations of fleets: what is asked before, what is told of members, and what exit code it comes to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import typer

from crossfade.cli.failure import print_problems
from crossfade.cli.terminal import ask, err, out
from crossfade.errors import CrossfadeError
from crossfade.execute import Listener, ignore
from crossfade.execute.fleet import (
    FleetOutcome,
    MemberEnded,
    Rollout,
    Standing,
    read_drift,
    read_standings,
    resolve_members,
)
from crossfade.execute.runner import Runner
from crossfade.plan import Plan
from crossfade.report import print_summary
from crossfade.spec import Fleet, Member, Migration, Project
from crossfade.telemetry import reported


class FleetRun:
    """One call of `crossfade up`, as far as it is about fleets.

    through: the last phase or stage that may be done. asks: a person is asked first.
    let_by: the issuer, and whom its token names of whoever lets it.
    exit_code: 1 once a migration was refused, a member failed or a gate will not hold.
    """

    def __init__(
        self,
        project: Project,
        *,
        through: str | None = None,
        asks: bool = False,
        as_json: bool = False,
        let_by: tuple[str, str] | None = None,
    ) -> None:
        self.exit_code = 0
        self._project = project
        self._through = through
        self._asks = asks
        self._as_json = as_json
        self._let_by = let_by

    def named(self, migrations: Sequence[Migration]) -> None:
        """Take these forward."""
        for migration in migrations:
            try:
                if not self._asks or self._agreed(migration):
                    rollout = Rollout(self._project, migration, self.hear, _reported, let_by=self._let_by)
                    self._told(rollout.advance(self._through))
            except CrossfadeError as error:
                self.exit_code = 1
                self._refused(migration.id, error)

    def all_that_can(self) -> None:
        """Take forward those that nobody has taken back."""
        for migration in self._project.of_fleets:
            try:
                members = resolve_members(self._project, fleet := self._project.fleets[migration.head.database])
                standings = read_standings(fleet, members, migration.id)
            except CrossfadeError as error:
                self.exit_code = 1
                self._refused(migration.id, error)
                continue
            if back := [name for name, each in standings.items() if each.taken_back or each.state == "undoing"]:
                self._line(migration.id, "left out", f"was taken back in {back[0]}: name it to go on with it")
            elif any(each.state != "complete" for each in standings.values()):
                self.named([migration])

    def hear(self, ended: MemberEnded) -> None:
        """What came of one member."""
        if ended.failure is not None:
            self._refused(f"{ended.migration} in {ended.member}", ended.failure, member=ended.member)
        elif ended.outcome is not None:
            passed = f" ({', '.join(ended.outcome.passed)})" if ended.outcome.passed else ""
            why = "; ".join(f"{each.label}: {each.answer.reason}" for each in ended.outcome.waiting)
            said = f"{ended.wave}: {ended.outcome.ended}{passed}{f': {why}' if why else ''}"
            self._line(ended.migration, "member", said, member=ended.member, wave=ended.wave)

    def _agreed(self, migration: Migration) -> bool:
        _, fleet, members, plan = canary_plan(self._project, migration)
        print_summary(plan, None, out())
        for line in told_of_fleet(fleet, members, migration):
            typer.echo(line)
        if ask("Go on?"):
            return True
        typer.echo("stopped; nothing more was done")
        self.exit_code = 1
        return False

    def _told(self, outcome: FleetOutcome) -> None:
        for who, names in (("new", outcome.roster.joined), ("gone", outcome.roster.vanished)):
            if names:
                self._line(outcome.migration, who, f"{who} since it last went on: {', '.join(names)}")
        for each in outcome.waiting:
            self._line(outcome.migration, "gate", f"{each.point}: {each.label}: {each.answer.reason}")
        if outcome.behind:
            self._line(outcome.migration, "behind", f"waits in {', '.join(outcome.behind)}")
        if outcome.failed:
            self._line(outcome.migration, "failed", f"failed in {', '.join(outcome.failed)}")
        if outcome.failed or any(each.answer.state == "never" for each in outcome.waiting):
            self.exit_code = 1
        self._line(outcome.migration, "ended", f"{outcome.ended}; {outcome.members} members", state=outcome.ended)

    def _line(self, migration: str, event: str, text: str, **fields: Any) -> None:
        if self._as_json:
            at = datetime.now(UTC).isoformat()
            data = {"at": at, "migration": migration, "event": event, **fields, "text": text}
            typer.echo(json.dumps(data, ensure_ascii=False))
        else:
            member = f" in {fields['member']}" if "member" in fields else ""
            typer.echo(f"{migration}{member}: {text}")

    def _refused(self, what: str, error: CrossfadeError, **fields: Any) -> None:
        if self._as_json:
            self._line(what, "refused", error.what, why=error.why, fix=error.fix, **fields)
        else:
            typer.echo(f"{what} was refused:", err=True)
            print_problems(error.problems, err())


def canary_plan(project: Project, migration: Migration) -> tuple[Project, Fleet, tuple[Member, ...], Plan]:
    """The project as the canary of the migration's fleet sees it, the fleet, its members, and the plan there."""
    fleet = project.fleets[migration.head.database]
    members = resolve_members(project, fleet)
    seen = project.of_member(fleet, fleet.in_waves(members)[0].members[0])
    return seen, fleet, members, Runner(seen).plan(migration)


def told_of_fleet(fleet: Fleet, members: Sequence[Member], migration: Migration) -> list[str]:
    """The waves, and which members that have not started are not as the others."""
    standings = read_standings(fleet, members, migration.id)
    lines = [f"fleet {fleet.name}: {len(members)} members, {fleet.max_parallel} at a time"]
    for wave in fleet.in_waves(members):
        names = ", ".join(member.name for member in wave.members[:5])
        lines.append(f"  wave {wave.name}: {len(wave.members)}: {names}{', ...' if len(wave.members) > 5 else ''}")
    lines += [f"  {name} differs: {what}" for name, what in drift_of(fleet, standings).items()]
    return lines


def drift_of(fleet: Fleet, standings: Mapping[str, Standing]) -> dict[str, str]:
    """How members that have not started differ from the first of them, by name."""
    unstarted = [each.member for each in standings.values() if not each.has_started]
    return read_drift(fleet, unstarted) if unstarted else {}


def _reported(project: Project, _member: Member) -> Listener:
    return reported(project, ignore)
