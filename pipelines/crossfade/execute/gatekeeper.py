"""Asks the gates of a point and writes their answers down; whoever starts a leg, it is asked here first."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from crossfade.errors import CrossfadeError
from crossfade.execute.notice import GateAnswered, Listener
from crossfade.execute.overriding import Override, overrides_at
from crossfade.execute.session import reading
from crossfade.gates import (
    FREEZE,
    Answer,
    FreezeGate,
    Gate,
    GateContext,
    GateError,
    GateUnanswered,
    asking,
)
from crossfade.ledger import Ledger
from crossfade.plan import Plan, gate_of
from crossfade.spec import Database, Project

_TRIES, _BETWEEN = 3, 1.0


Chosen = Callable[[Gate], bool]


def every(_: Gate) -> bool:
    """All gates of a point."""
    return True


@dataclass(frozen=True)
class Waiting:
    """A gate that does not hold: where it stands, what it is, what it said."""

    point: str
    label: str
    answer: Answer


def ask(
    plan: Plan,
    point: str,
    *,
    project: Project,
    ledger: Ledger,
    since: datetime | None,
    listen: Listener,
    chosen: Chosen = every,
    seconds: float | None = None,
    also: Sequence[Gate] = (),
) -> tuple[Waiting, ...]:
    """Ask the gates of `point`, and before a leg whether the project is frozen; gives those that do not hold.

    All cheap ones are asked, also after one that does not hold: a reviewer wants to see everything that is
    missing. Those that read many rows are asked when the cheap ones hold. What people override who may, holds.
    chosen: of the plan's gates, which are asked; the others are as if they held.
    seconds: that each question may take; one that takes longer is as if it held.
    also: gates at this point that are not of the plan.
    Raises GateError when a gate cannot be asked, GateUnanswered when the database does not answer in several tries.
    """
    gates = [*(gate for planned in plan.gates_at(point) if chosen(gate := gate_of(planned))), *also]
    if point.startswith("before ") and _is_freeze_asked(plan, point, project, ledger):
        gates.append(FreezeGate())
    if not gates:
        return ()
    context = _context(plan, point, project=project, ledger=ledger, since=since, seconds=seconds)
    overrides = overrides_at(plan, context)
    waiting: list[Waiting] = []
    for gate in sorted(gates, key=lambda gate: gate.costly):
        override = overrides.get(gate.label)
        if override is not None:
            answer = _overridden(gate, override, context)
        elif gate.costly and waiting:
            continue
        elif seconds is None:
            answer = _ask_patiently(gate, context)
        elif (found := _ask_soon(gate, context, seconds)) is not None:
            answer = found
        else:
            continue
        ledger.record_gate(
            plan.migration,
            point,
            gate.label,
            state=answer.state,
            reason=answer.reason,
            holds_at=answer.holds_at,
            evidence=answer.evidence,
            overridden="overridden_by" in answer.evidence,
        )
        listen(GateAnswered(point, gate.label, answer))
        if answer.state != "holds":
            waiting.append(Waiting(point, gate.label, answer))
    return tuple(waiting)


def _is_freeze_asked(plan: Plan, point: str, project: Project, ledger: Ledger) -> bool:
    """Where a freeze is meant for it, or held it up when it was last asked: that one may be lifted."""
    return any(freeze.binds(plan.databases) for freeze in project.settings.freezes) or any(
        (record.point, record.gate) == (point, FREEZE) and record.state != "holds"
        for record in ledger.gates(plan.migration)
    )


def _context(
    plan: Plan, point: str, *, project: Project, ledger: Ledger, since: datetime | None, seconds: float | None
) -> GateContext:
    databases = project.databases

    def open_reading(database: str) -> AbstractContextManager[psycopg.Connection[Any]]:
        known = databases.get(database)
        if known is None:
            raise GateError(
                f"a gate {point} of {plan.migration} names database {database}, which databases.yaml does not",
                fix=f"known: {', '.join(databases)}",
            )
        return reading(known, "crossfade gate", seconds=seconds)

    return GateContext(
        migration=plan.migration,
        plan_digest=plan.digest,
        point=point,
        database=plan.home,
        databases=plan.databases,
        schema=plan.schemas[plan.home],
        root=project.root,
        settings=project.settings,
        ledger=ledger,
        open=open_reading,
        homes={migration.id: migration.head.database for migration in project.migrations},
        url={name: database.conninfo() for name, database in databases.items() if _has_address(database)},
        since=since,
        now=ledger.now(),
        seconds=seconds,
    )


def _has_address(database: Database) -> bool:
    try:
        database.conninfo()
    except CrossfadeError:
        return False
    return True


def _overridden(gate: Gate, override: Override, context: GateContext) -> Answer:
    """That people overrode it, unless it holds by itself. One that reads many rows is not asked for that."""
    if gate.costly:
        return override.answer({"state": "not asked"})
    try:
        answer = _ask(gate, context)
    except GateError as error:
        return override.answer({"state": "not asked", "reason": error.what})
    return answer if answer.state == "holds" else override.answer({"state": answer.state, "reason": answer.reason})


def _ask_patiently(gate: Gate, context: GateContext) -> Answer:
    """A question that the database could not answer just now is asked again: that is not a failed gate."""
    for left in reversed(range(_TRIES)):
        try:
            return _ask(gate, context)
        except GateUnanswered:
            if not left:
                raise
        time.sleep(_BETWEEN)
    raise AssertionError("the last try answers or raises")


def _ask_soon(gate: Gate, context: GateContext, seconds: float) -> Answer | None:
    """None when it took longer than that."""
    began = time.monotonic()
    try:
        return _ask(gate, context)
    except GateError:
        if time.monotonic() - began >= seconds:
            return None
        raise


def _ask(gate: Gate, context: GateContext) -> Answer:
    with asking(f"gate {gate.label} {context.point} of {context.migration} could not be asked"):
        return gate.ask(context)
