"""Takes a migration forward leg by leg over all its databases, or back; the same for the command line and Dagster."""

from __future__ import annotations

import getpass
import os
import socket
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import psycopg

from crossfade.errors import CrossfadeError
from crossfade.execute import gatekeeper, starting
from crossfade.execute.errors import (
    Blocked,
    ExecutionFailed,
    LockBudgetExceeded,
    Paused,
    StepRefused,
    is_lost,
)
from crossfade.execute.fault import from_environment
from crossfade.execute.gatekeeper import Waiting
from crossfade.execute.notice import LegPassed, LegStarted, LegUndone, Listener, Reconnecting, ignore
from crossfade.execute.purge import refuse_purged
from crossfade.execute.session import DatabaseUnreachable, open_session
from crossfade.execute.site import Site
from crossfade.execute.steps import run_leg_steps, undo_leg_steps
from crossfade.execute.successors import refuse_while_stood_on
from crossfade.ledger import Ledger
from crossfade.plan import Plan
from crossfade.server_words import told
from crossfade.spec import Migration, Project
from crossfade.steps.step import Leg

T = TypeVar("T")
_RECONNECT_EVERY = 1.0  # seconds

Ended = Literal["complete", "waiting", "paused", "reached", "undone"]


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    passed: legs that passed in this run. reached: it was asked to stop here, and it did.
    """

    migration: str
    ended: Ended
    passed: tuple[str, ...] = ()
    waiting: tuple[Waiting, ...] = ()


@dataclass(frozen=True)
class Next:
    """leg: the next one to start or to finish; None when nothing is to be done now. waiting: gates that hold it up."""

    plan: Plan
    leg: Leg | None
    waiting: tuple[Waiting, ...] = ()


class Runner:
    """Runs the migrations of a project."""

    def __init__(self, project: Project, listen: Listener = ignore, *, holder: str | None = None) -> None:
        self.project = project
        self.listen = listen
        self.holder = holder or f"{getpass.getuser()}@{socket.gethostname()} pid {os.getpid()}"
        self._fault = from_environment()

    def plan(self, migration: Migration) -> Plan:
        """The plan: the frozen one of a started migration, else compiled now. Writes nothing."""
        return starting.current_plan(self.project, migration)

    def advance(self, migration: Migration, *, through: str | None = None) -> Outcome:
        """Go on as far as the gates allow, at most through the leg of that name.

        Raises Blocked when another migration comes first or this one is being undone, LeaseTaken when another
        runner works on it, StepRefused and its kin when a step cannot be done.
        """
        plan = starting.plan_to_run(self.project, migration)
        last = _leg_named(plan, through)  # before anything is written: nobody wants a start that was mistyped
        starting.write_everywhere(self.project, plan, migration.text)
        with self._sites(plan) as sites:
            home = sites[plan.home]
            record = home.ledger.migration(plan.migration)
            assert record is not None
            if record.spec_digest != plan.spec_digest:
                raise Blocked(
                    f"the ledger's plan of {plan.migration} is of another spec than this run's",
                    why="two runners began it with different files",
                    fix=f"run `crossfade up {plan.migration}` again",
                )
            if record.state == "undoing":
                raise Blocked(
                    f"{plan.migration} is being undone", fix=f"finish with `crossfade rollback {plan.migration}`"
                )
            if record.state == "complete":
                return Outcome(plan.migration, "complete")
            return self._patiently(sites, lambda: self._advance(plan, sites, last))

    def look(self, migration: Migration) -> Next:
        """What a started migration would do next and what it waits for; asks its gates and does nothing else."""
        plan = starting.frozen_plan(self.project, migration)
        connection = open_session(self.project.databases[plan.home], f"crossfade look {plan.migration}"[:63])
        try:
            ledger = Ledger(connection)
            record = ledger.migration(plan.migration)
            assert record is not None
            legs = ledger.legs(plan.migration)
            leg = next((leg for leg in plan.legs if str(leg) not in legs or legs[str(leg)].passed_at is None), None)
            if leg is None or record.state != "running" or record.paused_at is not None:
                return Next(plan, None)
            done = legs.get(str(leg))
            moment = "after" if done is not None and done.finished_at is not None else "before"
            return Next(plan, leg, self._ask(plan, ledger, f"{moment} {leg}", leg))
        finally:
            connection.close()

    def rollback(self, name: str, *, to: str | None = None, evidence: Mapping[str, Any] | None = None) -> Outcome:
        """Undo every leg after `to`, newest first, in all databases; all of them without it.

        The ledger's record of migration `name` is all it needs: its spec may be edited or gone.
        evidence: why and from where, for the event.
        A pause was for what was being done, so it ends here; a later one stops the way back after the step at hand.
        Raises Blocked when a later migration stands on this one, or a step that is done cannot be taken back.
        """
        record = starting.started_record(self.project, name)
        plan = starting.thaw(record)
        stays = _leg_named(plan, to)
        refuse_while_stood_on(self.project, plan)
        starting.write_everywhere(self.project, plan, record.spec_text)
        with self._sites(plan) as sites:
            self._refuse_irreversible(plan, sites, stays)
            for site in sites.values():
                refuse_purged(plan, site.name, site.work, stays)
            for site in sites.values():
                site.ledger.event(plan.migration, "rollback asked for", {"to": to, **(evidence or {})})
                if site.ledger.paused(plan.migration):
                    site.ledger.resume(plan.migration, {"because": "it is taken back"})
            return self._patiently(sites, lambda: self._roll_back(plan, sites, stays))

    # --- forward -------------------------------------------------------------------------------------

    def _advance(self, plan: Plan, sites: dict[str, Site], last: Leg | None) -> Outcome:
        home = sites[plan.home]
        passed: list[str] = []
        for leg in plan.legs:
            if last is not None and leg.order > last.order:
                return Outcome(plan.migration, "reached", tuple(passed))
            records = home.ledger.legs(plan.migration)
            if (record := records.get(str(leg))) is not None and record.passed_at is not None:
                continue
            if home.ledger.paused(plan.migration):
                return Outcome(plan.migration, "paused", tuple(passed))
            finished = record is not None and record.finished_at is not None
            if not finished and (waiting := self._ask(plan, home.ledger, f"before {leg}", leg)):
                return Outcome(plan.migration, "waiting", tuple(passed), waiting)
            began = time.monotonic()
            self.listen(LegStarted(str(leg)))
            try:
                self._everywhere(plan, sites, leg)
            except Paused:
                return Outcome(plan.migration, "paused", tuple(passed))
            if waiting := self._ask(plan, home.ledger, f"after {leg}", leg):
                return Outcome(plan.migration, "waiting", tuple(passed), waiting)
            for site in reversed(sites.values()):  # home last: what it says has passed has passed everywhere
                with site.noting() as ledger:
                    ledger.leg_passed(plan.migration, str(leg))
            passed.append(str(leg))
            self.listen(LegPassed(str(leg), time.monotonic() - began))
        for site in reversed(sites.values()):
            with site.noting() as ledger:
                ledger.set_state(plan.migration, "complete")
        return Outcome(plan.migration, "complete", tuple(passed))

    def _ask(self, plan: Plan, ledger: Ledger, point: str, leg: Leg) -> tuple[Waiting, ...]:
        previous = plan.before(leg)
        records = ledger.legs(plan.migration)
        record = records.get(str(previous)) if previous is not None else None
        return gatekeeper.ask(
            plan,
            point,
            root=self.project.root,
            databases=self.project.databases,
            ledger=ledger,
            since=record.passed_at if record is not None else None,
            listen=self.listen,
        )

    def _everywhere(self, plan: Plan, sites: dict[str, Site], leg: Leg) -> None:
        """The leg in every database; when one refuses, what the leg did in the others is taken back."""
        for site in sites.values():
            try:
                with site.noting() as ledger:
                    ledger.leg_started(plan.migration, str(leg))
                run_leg_steps(site, plan, leg)
                with site.noting() as ledger:
                    ledger.leg_finished(plan.migration, str(leg))
            except (StepRefused, LockBudgetExceeded, ExecutionFailed) as refusal:
                if len(sites) > 1:
                    self._compensate(plan, sites, leg, site, refusal)
                raise

    def _compensate(self, plan: Plan, sites: dict[str, Site], leg: Leg, refused: Site, refusal: CrossfadeError) -> None:
        for site in sites.values():
            with site.noting() as ledger:
                evidence = {"because": refusal.what, "refused in": refused.name}
                ledger.event(plan.migration, f"{leg} is taken back", evidence)
        self._undo_leg(plan, sites, leg)

    def _patiently(self, sites: dict[str, Site], act: Callable[[], T]) -> T:
        """Go on when a database went away and came back: the ledgers tell what is done.

        Each outage is waited for as long as the lock budget.
        """
        done: list[tuple[object, ...]] = []
        began: float | None = None  # of the outage at hand
        while True:
            try:
                for site in sites.values():
                    site.revive()
                # Only what got done ends an outage: a statement that the server dies of must not be tried for ever.
                before, done = done, [site.done() for site in sites.values()]
                began = None if done != before else began
                return act()
            except (psycopg.Error, DatabaseUnreachable) as error:
                began = began or time.monotonic()
                lost = isinstance(error, DatabaseUnreachable) or is_lost(error)
                settings = next(iter(sites.values())).settings
                if not lost or time.monotonic() - began > settings.lock_budget:
                    raise _unanswered(error) from None
                self.listen(Reconnecting(_reason(error), _RECONNECT_EVERY))
                if any(site.stopping.wait(_RECONNECT_EVERY) for site in sites.values()):
                    raise _unanswered(error) from None

    # --- back ----------------------------------------------------------------------------------------

    def _roll_back(self, plan: Plan, sites: dict[str, Site], stays: Leg | None) -> Outcome:
        for site in sites.values():
            with site.noting() as ledger:
                ledger.set_state(plan.migration, "undoing", undo_to=str(stays) if stays else None)
        for leg in reversed(plan.legs):
            if stays is not None and leg.order <= stays.order:
                break
            try:
                self._undo_leg(plan, sites, leg)
            except Paused:
                return Outcome(plan.migration, "paused")
        for site in sites.values():
            with site.noting() as ledger:
                ledger.set_state(plan.migration, "running" if stays else "undone")
        return Outcome(plan.migration, "undone")

    def _undo_leg(self, plan: Plan, sites: dict[str, Site], leg: Leg) -> None:
        for site in reversed(sites.values()):
            if undo_leg_steps(site, plan, leg):
                self.listen(LegUndone(str(leg)))
            with site.noting() as ledger:
                ledger.leg_undone(plan.migration, str(leg))

    def _refuse_irreversible(self, plan: Plan, sites: dict[str, Site], stays: Leg | None) -> None:
        for step in plan.steps:
            if not step.irreversible or (stays is not None and step.leg.order <= stays.order):
                continue
            record = sites[step.database].ledger.steps(plan.migration).get(step.id)
            if record is not None and record.state == "done":
                raise Blocked(
                    f"{plan.migration} cannot be undone past {step.leg}: {step.title}",
                    why=step.undo_title,
                    fix="write a new migration that brings back what is needed",
                )

    # --- sites ---------------------------------------------------------------------------------------

    @contextmanager
    def _sites(self, plan: Plan) -> Generator[dict[str, Site]]:
        """All databases of the plan under our lease, the home first."""
        sites: dict[str, Site] = {}
        try:
            for name in plan.databases:
                database = self.project.databases[name]
                sites[name] = Site(database, plan.migration, self.holder, plan.settings, self.listen, self._fault)
            yield sites
        except BaseException as error:
            # Dagster cancels with an exception of its own, a terminal with KeyboardInterrupt: neither may leave a
            # statement running on the server.
            if not isinstance(error, Exception):
                for site in sites.values():
                    site.cancel()
            raise
        finally:
            for site in sites.values():
                site.close()


def _reason(error: psycopg.Error | DatabaseUnreachable) -> str:
    return told(error) if isinstance(error, psycopg.Error) else (error.why or error.what)


def _unanswered(error: psycopg.Error | DatabaseUnreachable) -> CrossfadeError:
    if isinstance(error, DatabaseUnreachable):
        return error
    return ExecutionFailed(
        f"a database did not answer: {told(error)}",
        why=f"SQLSTATE {error.sqlstate}" if error.sqlstate else "the connection was lost",
        fix="run `crossfade up` again when it does: what is done is kept, the rest goes on",
        sqlstate=error.sqlstate,
    )


def _leg_named(plan: Plan, name: str | None) -> Leg | None:
    """The leg, or the last one of a phase that has stages."""
    if name is None:
        return None
    if name == "contract":
        return plan.legs[-1]
    leg = plan.leg(name)
    if leg is None:
        raise Blocked(
            f"{plan.migration} has no phase or stage {name}",
            fix=f"it has: {', '.join(str(leg) for leg in plan.legs)}",
        )
    return leg
