"""One migration over all its databases, leg by leg: a leg is done in every database before the next one starts in any.

Where it cannot be done in one, it is taken back in the others, newest step first; the ledgers tell both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg

from crossfade.errors import CrossfadeError, Problem
from crossfade.execute.errors import Paused
from crossfade.execute.gatekeeper import Waiting
from crossfade.execute.gone import present_tables
from crossfade.execute.notice import LegPassed, LegStarted, LegUndone, Listener
from crossfade.execute.site import Site
from crossfade.execute.steps import left_something, run_leg_steps, undo_leg_steps
from crossfade.execute.structure import note_beginning, note_end
from crossfade.ledger import Ledger
from crossfade.plan import Plan
from crossfade.server_words import told
from crossfade.steps.step import Leg

Ask = Callable[[str, Leg], tuple[Waiting, ...]]


@dataclass
class Saga:
    """sites: by name, the home first. ask: the gates of a point of the leg that do not hold.

    passed: legs that passed in this run. waiting: what held it up at its end. under_way: the leg that is begun and
    not finished in every database.
    """

    plan: Plan
    sites: Mapping[str, Site]
    ask: Ask
    listen: Listener
    passed: list[str] = field(default_factory=list[str])
    waiting: tuple[Waiting, ...] = ()
    under_way: Leg | None = None
    _at_work: set[str] = field(default_factory=set[str], init=False)

    # --- forward -------------------------------------------------------------------------------------

    def forward(self, last: Leg | None) -> bool:
        """Go on as far as the gates allow, at most through `last`; tells whether all legs have passed.

        Raises Paused when a person says so, and why a step cannot be done: `take_back` is then the caller's next.
        """
        home = self._begin()
        if not home.paused(self.plan.migration):
            self._go_on_from_rollback()
        for leg in self.plan.legs:
            if last is not None and leg.order > last.order:
                return False
            record = home.legs(self.plan.migration).get(str(leg))
            if record is not None and record.passed_at is not None:
                continue
            if home.paused(self.plan.migration):
                raise Paused
            finished = record is not None and record.finished_at is not None
            if not finished and self._held_up(f"before {leg}", leg):
                return False
            began = time.monotonic()
            self.listen(LegStarted(str(leg)))
            self._everywhere(leg)
            if self._held_up(f"after {leg}", leg):
                return False
            for site in self._home_last():  # what home says has passed has passed everywhere
                with site.noting() as ledger:
                    ledger.leg_passed(self.plan.migration, str(leg))
            self.passed.append(str(leg))
            self.listen(LegPassed(str(leg), time.monotonic() - began))
        for site in self._home_last():
            with site.noting() as ledger:
                ledger.set_state(self.plan.migration, "complete")
        return True

    def take_back(self, failure: CrossfadeError) -> None:
        """What the leg under way has done in any database is undone in each that answers; with one there is nothing
        to agree on, and what is done stays.

        `failure` tells of it, and of what cannot be taken back now.
        """
        leg, self.under_way = self.under_way, None
        if leg is None or len(self.sites) == 1:
            return
        left = {site.name: self._take_back_in(site, leg, failure) for site in self._home_last()}
        undone = [name for name in self.sites if left[name] is None]
        if undone:
            failure.problems += (Problem(f"{leg} is taken back in {' and '.join(undone)}"),)
        failure.problems += tuple(problem for problem in left.values() if problem is not None)

    @contextmanager
    def working(self) -> Generator[None]:
        """What is made of the schema in it is noted when it ends; not when it is cancelled, which must not wait."""
        try:
            yield
        except Exception:
            self._end_work()
            raise
        self._end_work()

    def _end_work(self) -> None:
        for site in self.sites.values():
            if site.name in self._at_work:
                note_end(site, self.plan)

    def _begin_work(self, site: Site) -> None:
        if site.name not in self._at_work:
            note_beginning(site, self.plan)
            self._at_work.add(site.name)

    def _held_up(self, point: str, leg: Leg) -> bool:
        self.waiting = self.ask(point, leg)
        return bool(self.waiting)

    def _everywhere(self, leg: Leg) -> None:
        self.under_way = leg
        for site in self.sites.values():
            with site.noting() as ledger:
                tables = present_tables(site, self.plan.steps_of(leg, site.name))
                ledger.leg_started(self.plan.migration, str(leg), tables)
            self._begin_work(site)
            run_leg_steps(site, self.plan, leg)
            with site.noting() as ledger:
                ledger.leg_finished(self.plan.migration, str(leg))
        self.under_way = None

    def _take_back_in(self, site: Site, leg: Leg, failure: CrossfadeError) -> Problem | None:
        """Undo the leg in one database; gives what stands in the way."""
        name = self.plan.migration
        try:
            site.revive()
            if lasting := self._lasting(site, leg):
                return Problem(
                    f"{leg} stays as it is in {site.name}: {lasting}", fix=f"`crossfade up {name}` does the rest of it"
                )
            with site.noting() as ledger:
                ledger.event(name, f"{leg} is taken back", {"because": failure.what})
            self._undo_leg(site, leg, goes_on=True)
        except Paused:
            return Problem(f"{leg} was being taken back in {site.name} when {name} was paused", fix=_GO_ON.format(name))
        except psycopg.Error as error:
            return Problem(f"{leg} is not taken back in {site.name}: {told(error)}", fix=_GO_ON.format(name))
        except CrossfadeError as error:
            why = f"{error.what}: {error.why}" if error.why else error.what
            return Problem(f"{leg} is not taken back in {site.name}: {why}", fix=_GO_ON.format(name))
        return None

    def _lasting(self, site: Site, leg: Leg) -> str | None:
        """The title of a step of the leg that is done here for good."""
        name = self.plan.migration
        records = site.ledger.steps(name)
        for step in self.plan.steps_of(leg, site.name):
            record = records.get(step.id)
            if record is None or record.state == "undone" or not step.irreversible:
                continue
            if left_something(site.work, name, step, record):
                return f"{step.title} cannot be taken back"
        return None

    # --- back ----------------------------------------------------------------------------------------

    def back(self, stays: Leg | None) -> None:
        """Undo every leg after `stays`, newest first; all of them without it. Raises Paused when a person says so."""
        self._begin()
        for site in self.sites.values():
            with site.noting() as ledger:
                ledger.set_state(self.plan.migration, "undoing", undo_to=str(stays) if stays else None)
        going = [leg for leg in self.plan.legs if stays is None or leg.order > stays.order]
        for leg in reversed(going):
            for site in self._home_last():
                self._undo_leg(site, leg, goes_on=stays is not None and leg == going[0])
        for site in self._home_last():  # it is home that a next `rollback` asks what is left
            with site.noting() as ledger:
                # Not gone on with before somebody says so: what held its gates when it went forward holds them still.
                ledger.set_state(
                    self.plan.migration, "running" if stays else "undone", undo_to=str(stays) if stays else None
                )

    def _undo_leg(self, site: Site, leg: Leg, *, goes_on: bool) -> None:
        self._begin_work(site)
        if undo_leg_steps(site, self.plan, leg, goes_on=goes_on):
            self.listen(LegUndone(str(leg)))
        with site.noting() as ledger:
            ledger.leg_undone(self.plan.migration, str(leg))

    def _go_on_from_rollback(self) -> None:
        """Whoever goes forward has decided that what was taken back shall be done again."""
        for site in self._home_last():
            with site.noting() as ledger:
                ledger.set_state(self.plan.migration, "running")

    def _begin(self) -> Ledger:
        home = self.sites[self.plan.home]
        with home.noting() as ledger:
            ledger.run_began(self.plan.migration)
        return home.ledger

    def _home_last(self) -> tuple[Site, ...]:
        return tuple(reversed([*self.sites.values()]))


_GO_ON = "`crossfade up {0}` goes on with it in both, `crossfade rollback {0}` takes it back"
