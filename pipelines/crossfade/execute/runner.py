"""Runs a migration forward or back under its leases, through outages; the same for the command line and Dagster."""

from __future__ import annotations

import getpass
import os
import socket
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import psycopg

from crossfade.errors import CrossfadeError
from crossfade.execute import gatekeeper, starting
from crossfade.execute.autocommit import settle
from crossfade.execute.brownout import restore_hidden
from crossfade.execute.errors import (
    Blocked,
    ExecutionFailed,
    LockBudgetExceeded,
    Paused,
    StepRefused,
    is_lost,
)
from crossfade.execute.fault import from_environment
from crossfade.execute.frozen import thaw
from crossfade.execute.gatekeeper import Waiting
from crossfade.execute.going_on import command_to_go_on
from crossfade.execute.notice import Listener, Reconnecting, RunEnded, RunStarted, ignore
from crossfade.execute.saga import Saga
from crossfade.execute.session import DatabaseUnreachable
from crossfade.execute.site import Site
from crossfade.execute.successors import refuse_while_stood_on
from crossfade.execute.taking_back import find_settled, refuse_for_rows, refuse_to_take_back
from crossfade.gates import GateError
from crossfade.ledger import Ledger
from crossfade.plan import Plan
from crossfade.server_words import told
from crossfade.spec import Migration, Project
from crossfade.steps.step import Leg

T = TypeVar("T")
_RECONNECT_EVERY = 1.0  # seconds
_FAILURES = (StepRefused, LockBudgetExceeded, ExecutionFailed, DatabaseUnreachable)

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


def _any_plan(_plan: Plan) -> None:
    """Accepts it."""


class Runner:
    """Runs the migrations of a project.

    let_by: the issuer, and whom its token names of whoever lets it, for the migrations that it starts.
    """

    def __init__(
        self,
        project: Project,
        listen: Listener = ignore,
        *,
        holder: str | None = None,
        let_by: tuple[str, str] | None = None,
    ) -> None:
        self.project = project
        self.listen = listen
        self.holder = holder or f"{getpass.getuser()}@{socket.gethostname()} pid {os.getpid()}"
        self._let_by = let_by
        self._fault = from_environment()
        self._at_work: list[Site] = []
        self._cancelled = threading.Event()

    def plan(self, migration: Migration) -> Plan:
        """The plan: the frozen one of a started migration, else compiled now. Writes nothing."""
        return starting.current_plan(self.project, migration)

    def cancel(self) -> None:
        """From another thread: stop what is being done on the servers, and begin nothing more."""
        self._cancelled.set()
        for site in [*self._at_work]:
            site.cancel()

    def advance(
        self, migration: Migration, *, through: str | None = None, accept: Callable[[Plan], None] = _any_plan
    ) -> Outcome:
        """Go on as far as the gates allow, at most through the leg of that name.

        accept: may refuse the plan by raising, before anything of it is written.
        Raises Blocked when another migration comes first or this one is being undone, LeaseTaken when another
        runner works on it, StepRefused and its kin when a step cannot be done.
        """
        plan = starting.plan_to_run(self.project, migration)
        accept(plan)
        last = _leg_named(plan, through)  # before anything is written: nobody wants a start that was mistyped
        starting.write_everywhere(self.project, plan, migration.text, self._fault, self._let_by)
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
                    f"{plan.migration} is being undone",
                    fix=f"finish with {command_to_go_on(record.id, record.state, record.undo_to)}",
                )
            if record.state == "complete":
                return Outcome(plan.migration, "complete")
            return self._told(plan, back=False, act=lambda: self._forward(plan, sites, last))

    def rollback(
        self,
        name: str,
        *,
        to: str | None = None,
        evidence: Mapping[str, Any] | None = None,
        settled: Mapping[str, bool] | None = None,
    ) -> Outcome:
        """Undo every leg after `to`, newest first, in all databases; all of them without it.

        The ledger's record of migration `name` is all it needs: its spec may be edited or gone.
        evidence: why and from where, for the event.
        settled: step id -> whether it had an effect, as a person says who has looked; for steps that would be InDoubt.
        A pause was for what was being done, so it ends here; a later one stops the way back after the step at hand.
        Raises Blocked when a later migration stands on this one, or a step that is done cannot be taken back; InDoubt
        when it is not known what a step did.
        """
        record = starting.started_record(self.project, name)
        plan = thaw(record)
        stays = _leg_named(plan, to)
        refuse_while_stood_on(self.project, plan)
        starting.write_everywhere(self.project, plan, record.spec_text, self._fault)
        with self._sites(plan) as sites:
            self._patiently(plan, sites, lambda: None)  # before anything can refuse: what is hidden is given back
            for step, had_effect in find_settled(plan, settled or {}):
                settle(sites[step.database], step, had_effect)
            for site in sites.values():
                refuse_to_take_back(plan, site.name, site.work, stays)
                self._patiently(plan, sites, lambda site=site: refuse_for_rows(plan, site, stays))
            for site in sites.values():
                site.ledger.event(plan.migration, "rollback asked for", {"to": to, **(evidence or {})})
                if site.ledger.paused(plan.migration):
                    site.ledger.resume(plan.migration, {"because": "it is taken back"})
            return self._told(plan, back=True, act=lambda: self._back(plan, sites, stays))

    def _told(self, plan: Plan, *, back: bool, act: Callable[[], Outcome]) -> Outcome:
        self.listen(RunStarted(plan, back))
        outcome: Outcome | None = None
        failure: CrossfadeError | None = None
        try:
            return (outcome := act())
        except CrossfadeError as error:
            failure = error
            raise
        finally:
            self.listen(RunEnded(outcome.ended if outcome is not None else None, failure))

    def _forward(self, plan: Plan, sites: dict[str, Site], last: Leg | None) -> Outcome:
        saga = self._saga(plan, sites)
        with saga.working():
            try:
                through_all = self._patiently(plan, sites, lambda: saga.forward(last))
            except Paused:
                return Outcome(plan.migration, "paused", tuple(saga.passed))
            except _FAILURES as failure:
                saga.take_back(failure)
                _keep(sites[plan.home], failure)
                raise
            except GateError as unasked:  # of which no step has failed: what is done stays
                _keep(sites[plan.home], unasked)
                raise
        ended: Ended = "complete" if through_all else "waiting" if saga.waiting else "reached"
        return Outcome(plan.migration, ended, tuple(saga.passed), saga.waiting)

    def _back(self, plan: Plan, sites: dict[str, Site], stays: Leg | None) -> Outcome:
        saga = self._saga(plan, sites)
        with saga.working():
            try:
                self._patiently(plan, sites, lambda: saga.back(stays))
            except Paused:
                return Outcome(plan.migration, "paused")
            except _FAILURES as failure:
                _keep(sites[plan.home], failure)
                raise
        return Outcome(plan.migration, "undone")

    def _saga(self, plan: Plan, sites: dict[str, Site]) -> Saga:
        def ask(point: str, leg: Leg) -> tuple[Waiting, ...]:
            return self._ask(plan, sites[plan.home].ledger, point, leg)

        return Saga(plan, sites, ask, self.listen)

    def _ask(self, plan: Plan, ledger: Ledger, point: str, leg: Leg) -> tuple[Waiting, ...]:
        previous = plan.before(leg)
        records = ledger.legs(plan.migration)
        record = records.get(str(previous)) if previous is not None else None
        return gatekeeper.ask(
            plan,
            point,
            project=self.project,
            ledger=ledger,
            since=record.passed_at if record is not None else None,
            listen=self.listen,
        )

    def _patiently(self, plan: Plan, sites: dict[str, Site], act: Callable[[], T]) -> T:
        """Go on when a database went away and came back: the ledgers tell what is done.

        Each outage is waited for as long as the lock budget.
        """
        done: list[tuple[object, ...]] = []
        began: float | None = None  # of the outage at hand
        while True:
            try:
                for site in sites.values():
                    site.revive()
                    restore_hidden(site, plan)
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
                for site in sites.values():
                    if site.stopping.wait(_RECONNECT_EVERY / len(sites)):
                        site.confirm()

    # --- sites ---------------------------------------------------------------------------------------

    @contextmanager
    def _sites(self, plan: Plan) -> Generator[dict[str, Site]]:
        """All databases of the plan under our lease, the home first."""
        sites: dict[str, Site] = {}
        try:
            for name in plan.databases:
                database = self.project.databases[name]
                sites[name] = Site(
                    database,
                    plan.migration,
                    self.holder,
                    plan.settings,
                    self.listen,
                    self._fault,
                    self.project.root,
                    sites,
                )
                self._at_work.append(sites[name])
            if self._cancelled.is_set():
                self.cancel()
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
                self._at_work.remove(site)
                site.close()


def _keep(home: Site, failure: CrossfadeError) -> None:
    """For `status` and the audit; it may be that very database that is away."""
    with suppress(psycopg.Error, CrossfadeError), home.noting() as ledger:
        ledger.run_failed(home.migration, failure.what, failure.why)


def _reason(error: psycopg.Error | DatabaseUnreachable) -> str:
    return told(error) if isinstance(error, psycopg.Error) else (error.why or error.what)


def _unanswered(error: psycopg.Error | DatabaseUnreachable) -> CrossfadeError:
    if isinstance(error, DatabaseUnreachable):
        return error
    return ExecutionFailed(
        f"a database did not answer: {told(error)}",
        why=f"SQLSTATE {error.sqlstate}" if error.sqlstate else "the connection was lost",
        fix="run the same command again when it does: what is done is kept, the rest goes on",
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
