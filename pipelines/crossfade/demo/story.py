"""What happens in the demo, in order: two services under load, and four migrations through all their phases."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from crossfade.demo.clients import Clients, Version, instances
from crossfade.demo.course import Course
from crossfade.demo.place import PERSON, Place
from crossfade.demo.screen import Screen
from crossfade.errors import CrossfadeError
from crossfade.execute import Notice, Outcome, Runner
from crossfade.report.measures import said_seconds
from crossfade.spec import Migration, Project

FLIGHTS_V1 = Version(service="flights", number=1, instances=3)
FLIGHTS_V2 = Version(service="flights", number=2, instances=1)
FLIGHTS_V3 = Version(service="flights", number=3, instances=3)
FLEET_V1 = Version(service="fleet", number=1, instances=2)
FLEET_V2 = Version(service="fleet", number=2, instances=2)

_QUIET = 2.0  # seconds of traffic before the first migration, to compare with


class DemoFailed(CrossfadeError):
    """A migration did not go where the story says."""


class Story:
    """Runs the example project's migrations on a loaded place, with clients under way.

    quiet: the longest wait of a client before the first migration, in seconds.
    """

    def __init__(self, place: Place, project: Project, clients: Clients, screen: Screen) -> None:
        self.quiet = 0.0
        self._place = place
        self._migrations = {migration.id: migration for migration in project.migrations}
        self._clients = clients
        self._screen = screen
        self._courses: dict[str, Course] = {}
        self._now: Course | None = None
        self._runner = Runner(project, self._listen)

    @property
    def courses(self) -> tuple[Course, ...]:
        """The migrations that have begun, in that order."""
        return tuple(self._courses.values())

    def run(self) -> None:
        """Four migrations; raises DemoFailed when one of them stops where it should not."""
        self._screen.headline("The services are deployed, and read and write until the end")
        self._deploy(FLIGHTS_V1, FLEET_V1, doing="a row is one instance's to write, so each write can be checked")
        time.sleep(_QUIET)
        self.quiet = self._clients.figures.longest
        self._screen.line(f"the longest wait without any migration: {said_seconds(self.quiet)}")
        self._type_change()
        self._foreign_key()
        self._both_databases()

    def leave_one_waiting(self) -> Migration:
        """Take a fifth migration to where a person must approve."""
        migration = self._begin("planes_without_speed")
        self._stops_at_a_gate(migration)
        return migration

    def _type_change(self) -> None:
        migration = self._begin("departures_as_timestamps")
        self._go(migration, through="cutover")
        self._deploy(FLIGHTS_V2, doing="reads and writes timestamps, beside v1")
        self._go(migration)

    def _foreign_key(self) -> None:
        key = self._begin("flights_have_known_planes")
        self._stops_at_a_gate(key)
        self._go(self._begin("unknown_tail_numbers"))
        self._go(self._begin("flights_have_known_planes"))

    def _both_databases(self) -> None:
        migration = self._begin("planes_say_when_built")
        self._go(migration, through="expand")
        self._deploy(FLIGHTS_V3, FLEET_V2, doing="say `built`, beside versions that say `year`")
        self._go(migration, through="validate")
        self._stops_at_a_gate(migration)
        old = (FLIGHTS_V1, FLIGHTS_V2, FLEET_V1)
        for version in old:
            self._clients.drain(version)
        self._screen.line(f"drained: {instances(old)}; nobody says `year` any more")
        self._place.approve(self._runner.plan(migration))
        self._screen.line(f"{PERSON}, of the fleet's team, approves")
        self._go(migration)

    # --- running -------------------------------------------------------------------------------------

    def _begin(self, name: str) -> Migration:
        """Turn to a migration, for the first time or again."""
        migration = self._migrations[name]
        again = ", again" if name in self._courses else ""
        if not again:
            self._courses[name] = Course(self._runner.plan(migration))
        self._now = self._courses[name]
        self._screen.show(self.courses, self._now)
        self._screen.headline(f"{name}{again}: {migration.head.title}")
        return migration

    def _go(self, migration: Migration, *, through: str | None = None) -> None:
        """Run as far as asked, through gates that only want time."""
        while (outcome := self._advance(migration, through)).ended not in ("complete", "reached"):
            moments = [waiting.answer.holds_at for waiting in outcome.waiting]
            known = [moment for moment in moments if moment is not None]
            if not known or len(known) < len(moments):
                raise DemoFailed(f"{migration.id} is {outcome.ended}, and should go on", why=_said(outcome))
            time.sleep(max((max(known) - datetime.now(UTC)).total_seconds(), 0.0) + 0.05)
        self._courses[migration.id].complete = outcome.ended == "complete"

    def _stops_at_a_gate(self, migration: Migration) -> None:
        """Run up to a gate that wants more than time."""
        outcome = self._advance(migration)
        if outcome.ended != "waiting":
            raise DemoFailed(f"{migration.id} is {outcome.ended}, and should wait at a gate")

    def _advance(self, migration: Migration, through: str | None = None) -> Outcome:
        began = time.monotonic()
        try:
            return self._runner.advance(migration, through=through)
        finally:
            self._courses[migration.id].seconds += time.monotonic() - began

    def _listen(self, notice: Notice) -> None:
        assert self._now is not None
        if line := self._now.note(notice):
            self._screen.line(line)

    def _deploy(self, *versions: Version, doing: str) -> None:
        with self._screen.busy(f"deploys {instances(versions)}"):
            for version in versions:
                self._clients.deploy(version)
        self._screen.line(f"deployed: {instances(versions)}; {doing}")


def _said(outcome: Outcome) -> str | None:
    return "; ".join(f"{waiting.label}: {waiting.answer.reason}" for waiting in outcome.waiting) or None
