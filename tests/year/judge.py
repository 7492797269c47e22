"""Was it right? Told from the ledgers' events and the drawn facts alone, without asking the product's gates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from tests.year.drawn import DAY, Approval, Condition, Door, Drawn, Hours, Passed, Soak

from crossfade.ledger import EventRecord
from crossfade.spec.model import PHASES, STAGES


@dataclass
class _Course:
    """Where a migration is by the events read so far. passed: legs in order, with when."""

    begun: list[str] = field(default_factory=list[str])
    finished: set[str] = field(default_factory=set[str])
    passed: dict[str, datetime] = field(default_factory=dict[str, datetime])
    archived: dict[str, datetime] = field(default_factory=dict[str, datetime])  # kept until
    complete: datetime | None = None
    paused: bool = False
    undoing: bool = False
    hidden: bool = False
    started: datetime | None = None


@dataclass
class Judge:
    """migrations: as drawn, by id. approved: when somebody approved, by id. ends: when the year was over.
    purged_within: how long after its time an archive may still be there.
    """

    migrations: Mapping[str, Drawn]
    approved: Mapping[str, Sequence[datetime]]
    ends: datetime
    purged_within: timedelta
    stages: int = 0
    undone: int = 0
    purged: int = 0
    _passed: dict[tuple[str, str | None], list[tuple[datetime, bool]]] = field(
        default_factory=dict[tuple[str, str | None], list[tuple[datetime, bool]]]
    )

    def problems(self, events: Mapping[str, Sequence[EventRecord]]) -> list[str]:
        """What is wrong in the events of these databases; stages, undone and purged count what was judged."""
        for database, told in events.items():
            self._note_passed(database, told)
        return [problem for database, told in events.items() for problem in self._in(database, told)]

    def _note_passed(self, database: str, events: Iterable[EventRecord]) -> None:
        """When each migration had passed a leg, by its own ledger, for those that wait for it."""
        for event in events:
            drawn = self.migrations[event.migration]
            if drawn.databases[0] != database:
                continue
            leg, _, what = event.kind.rpartition(" ")
            if leg in drawn.legs and what in ("passed", "undone"):
                self._passed.setdefault((drawn.id, leg), []).append((event.at, what == "passed"))
            elif leg == "migration" and what in ("complete", "undoing"):
                self._passed.setdefault((drawn.id, None), []).append((event.at, what == "complete"))

    def _in(self, database: str, events: Sequence[EventRecord]) -> Iterator[str]:
        courses = {name: _Course() for name, drawn in self.migrations.items() if database in drawn.databases}
        latest = events[0].at if events else self.ends
        for event in events:
            if event.at < latest:
                yield f"{database}: event {event.seq} is dated before the one before it"
            latest = event.at
            drawn, course = self.migrations[event.migration], courses[event.migration]
            for problem in self._of(drawn, course, event):
                yield f"{database} {event.at:%Y-%m-%d %H:%M} {drawn.id} {drawn.kind}: {event.kind}: {problem}"
        for name, course in courses.items():
            yield from (f"{database} {name}: {problem}" for problem in self._at_the_end(name, course))

    def _of(self, drawn: Drawn, course: _Course, event: EventRecord) -> Iterator[str]:
        leg, _, what = event.kind.rpartition(" ")
        if event.kind.startswith("brownout ") and what in ("began", "ended", "short", "counted"):
            yield from self._of_hiding(course, what)
        elif leg in drawn.legs:
            yield from self._of_leg(drawn, course, event, leg, what)
        elif leg in (*PHASES, *STAGES):
            yield "its kind has no such leg"
        match event.kind:
            case "migration started":
                if course.begun:
                    yield f"with {course.begun} begun"
                course.started = event.at
            case "migration complete":
                if [*course.passed] != [*drawn.legs]:
                    yield f"only {[*course.passed]} have passed"
                course.complete = event.at
            case "migration undoing":
                course.complete, course.undoing = None, True
            case "migration running" | "migration undone":
                course.undoing = False
            case "paused" | "resumed":
                course.paused = event.kind == "paused"
            case "old values purged":
                yield from self._of_purge(course, event)
            case _:
                pass

    def _of_leg(self, drawn: Drawn, course: _Course, event: EventRecord, leg: str, what: str) -> Iterator[str]:
        place = drawn.legs.index(leg)
        match what:
            case "started":
                self.stages += 1
                if [*course.passed] != [*drawn.legs[:place]] or course.begun != [*drawn.legs[:place]]:
                    yield f"after {[*course.passed]} had passed"
                if course.paused or course.undoing:
                    yield "while it was paused or taken back"
                yield from self._unmet(drawn, course, f"before {leg}", place, event.at)
                if place == 0 and drawn.after is not None and not self._has_passed(drawn.after, None, event.at):
                    yield f"{drawn.after} was not complete"
                course.begun.append(leg)
                if leg == "archive" and drawn.kind != "add":
                    course.archived[drawn.table] = event.at + drawn.keep * DAY
            case "finished":
                if course.begun[-1:] != [leg]:
                    yield f"with {course.begun} begun"
                if course.hidden:
                    yield "the columns are hidden still"
                course.finished.add(leg)
            case "passed":
                if leg not in course.finished or [*course.passed] != [*drawn.legs[:place]]:
                    yield f"after {[*course.passed]} had passed"
                yield from self._unmet(drawn, course, f"after {leg}", place, event.at)
                course.passed[leg] = event.at
            case "undone":
                self.undone += 1
                if course.begun[-1:] != [leg] or not course.undoing:
                    yield f"with {course.begun} begun"
                course.begun = [each for each in course.begun if each != leg]
                course.finished.discard(leg)
                course.passed.pop(leg, None)
                if leg == "archive":
                    course.archived.clear()
            case _:
                yield "nobody knows what that is"

    def _of_hiding(self, course: _Course, what: str) -> Iterator[str]:
        if course.begun[-1:] != ["brownout"] or "brownout" in course.finished:
            yield f"with {course.begun} begun"
        if what == "counted":
            return
        if course.hidden == (what == "began"):
            yield "hidden before" if course.hidden else "nothing was hidden"
        course.hidden = what == "began"

    def _of_purge(self, course: _Course, event: EventRecord) -> Iterator[str]:
        self.purged += 1
        until = course.archived.pop(event.body["relation"].removeprefix("public."), None)
        if until is None or event.at < until:
            yield f"kept until {until}"
        if course.complete is None:
            yield "it was not complete"
        elif until is not None and event.at - max(until, course.complete) > self.purged_within:
            yield f"too late: kept until {until}"

    def _at_the_end(self, name: str, course: _Course) -> Iterator[str]:
        if course.complete is None:
            yield f"not complete: {course}"
        for table, until in course.archived.items():
            if course.complete is not None and max(until, course.complete) + self.purged_within < self.ends:
                yield f"the old values of {table} were never purged"

    def _unmet(self, drawn: Drawn, course: _Course, point: str, place: int, at: datetime) -> Iterator[str]:
        since = course.passed.get(drawn.legs[place - 1]) if place else None
        for condition in drawn.waits.get(point, ()):
            if not self._is_met(drawn, condition, course.started, since, at):
                yield f"{point}: {condition} did not hold; the leg before passed {since}"

    def _is_met(
        self, drawn: Drawn, condition: Condition, started: datetime | None, since: datetime | None, at: datetime
    ) -> bool:
        match condition:
            case Soak(days):
                return since is not None and at - since >= days * DAY
            case Door():
                return condition.is_open(at)
            case Approval():
                return started is not None and any(
                    started <= moment <= at for moment in self.approved.get(drawn.id, ())
                )
            case Hours((first, last), (begin, end), zone):
                local = at.astimezone(ZoneInfo(zone))
                return first <= local.weekday() <= last and begin <= local.hour < end
            case Passed(other, leg):
                return self._has_passed(other, leg, at) or self._has_passed(other, None, at)

    def _has_passed(self, name: str, leg: str | None, at: datetime) -> bool:
        """At that moment or within it: of two ledgers, nothing tells which of two events of one moment was first."""
        told = self._passed.get((name, leg), [])
        before = [passed for moment, passed in told if moment < at]
        return any(passed for moment, passed in told if moment == at) or (bool(before) and before[-1])
