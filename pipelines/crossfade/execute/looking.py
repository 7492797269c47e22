"""Looks at what started migrations would do next, and asks what they wait for: one session a database for all."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import psycopg

from crossfade.execute import gatekeeper
from crossfade.execute.brownout import is_left_hidden
from crossfade.execute.frozen import thaw
from crossfade.execute.gatekeeper import Waiting
from crossfade.execute.notice import Listener, ignore
from crossfade.execute.session import open_session
from crossfade.execute.starting import frozen_record
from crossfade.ledger import Ledger
from crossfade.plan import Plan
from crossfade.spec import Migration, Project
from crossfade.steps.step import Leg


@dataclass(frozen=True)
class Next:
    """leg: the next one to start or to finish; None when nothing is to be done now. waiting: gates that hold it up."""

    plan: Plan
    leg: Leg | None
    waiting: tuple[Waiting, ...] = ()


class Lookout:
    """To be entered with `with`; its sessions are opened when they are first needed, and end with it.

    listen: hears what the gates answer.
    """

    def __init__(self, project: Project, listen: Listener = ignore) -> None:
        self._project = project
        self._listen = listen
        self._open: dict[str, psycopg.Connection[Any]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._open:
            self._open.popitem()[1].close()

    def look(
        self, migration: Migration, chosen: gatekeeper.Chosen = gatekeeper.every, *, seconds: float | None = None
    ) -> Next:
        """What a started migration would do next and what it waits for; asks its gates and does nothing else.

        chosen: of the gates, which are asked; seconds: that each may take, else it is left out. A run asks them all
        before it does the leg.
        Raises Blocked when it has not started, SpecEdited when it may not go on, GateError when a gate cannot be asked.
        """
        record = frozen_record(self._session, migration)
        plan = thaw(record)
        ledger = Ledger(self._session(plan.home))
        legs = ledger.legs(plan.migration)
        leg = next((leg for leg in plan.legs if str(leg) not in legs or legs[str(leg)].passed_at is None), None)
        if leg is None or record.state != "running":
            return Next(plan, None)
        if leg.stage == "brownout" and str(leg) in legs and self._left_hidden(plan):
            return Next(plan, leg)  # to be given back at once, whatever its gates say by now, and paused or not
        if record.paused_at is not None:
            return Next(plan, None)
        done, before = legs.get(str(leg)), legs.get(str(plan.before(leg)))
        moment = "after" if done is not None and done.finished_at is not None else "before"
        waiting = gatekeeper.ask(
            plan,
            f"{moment} {leg}",
            project=self._project,
            ledger=ledger,
            since=before.passed_at if before is not None else None,
            listen=self._listen,
            chosen=chosen,
            seconds=seconds,
        )
        return Next(plan, leg, waiting)

    def look_for_hidden(self, migration: Migration) -> Next | None:
        """The leg to run where a runner of it died in a brownout, and what it hid is hidden still."""
        plan = thaw(frozen_record(self._session, migration))
        leg = next((leg for leg in plan.legs if leg.stage == "brownout"), None)
        return Next(plan, leg) if leg is not None and self._left_hidden(plan) else None

    def _left_hidden(self, plan: Plan) -> bool:
        """A brownout was cut off in one of the migration's databases."""
        return any(is_left_hidden(self._session(name), plan, name) for name in plan.databases)

    def _session(self, database: str) -> psycopg.Connection[Any]:
        """A lost one is opened anew: it must not keep the other migrations of its database from being looked at."""
        connection = self._open.get(database)
        if connection is None or connection.closed:
            connection = self._open[database] = open_session(self._project.databases[database], "crossfade look")
        return connection
