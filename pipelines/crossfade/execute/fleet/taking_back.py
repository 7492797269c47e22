"""A migration taken back in every member of a fleet that has begun it: the last wave first."""

from __future__ import annotations

from collections.abc import Callable

from crossfade.errors import CrossfadeError
from crossfade.execute.fleet.at_once import AtOnce
from crossfade.execute.fleet.members import resolve_members
from crossfade.execute.fleet.rollout import MemberEnded
from crossfade.execute.fleet.standing import read_standings
from crossfade.execute.runner import Outcome, Runner
from crossfade.spec import Member, Migration, Project, Wave


def take_back(
    project: Project, migration: Migration, listen: Callable[[MemberEnded], None], *, to: str | None = None
) -> dict[str, CrossfadeError]:
    """Undo every leg after `to` in all members, as far as each has come; gives why not, by name.

    One that cannot be taken back keeps none of the others: each is whole in itself. Run again, it does what is left.
    """
    fleet = project.fleets[migration.head.database]
    members = resolve_members(project, fleet)
    standings = read_standings(fleet, members, migration.id)
    failed = {
        each.member.name: CrossfadeError(each.problem or "it does not answer")
        for each in standings.values()
        if each.state == "unreachable"
    }

    def make(member: Member) -> Runner:
        return Runner(project.of_member(fleet, member))

    def act(runner: Runner, _member: Member) -> Outcome:
        return runner.rollback(migration.id, to=to)

    for wave in reversed(fleet.in_waves(members)):

        def hear(member: Member, found: Outcome | CrossfadeError, wave: Wave = wave) -> bool:
            outcome, failure = (found, None) if isinstance(found, Outcome) else (None, found)
            listen(MemberEnded(migration.id, member.name, wave.name, outcome, failure))
            if failure is not None:
                failed[member.name] = failure
            return True

        begun = [member for member in reversed(wave.members) if standings[member.name].has_started]
        AtOnce(fleet, make, act).each(begun, hear)
    return failed
