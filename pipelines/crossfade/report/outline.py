"""A plan put in the order people read it: by leg, by database, each step with who waits for it and how it is undone.

Markdown, terminal and JSON are written from this, so that they cannot say different things.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from crossfade.plan import Plan, gate_of
from crossfade.report.estimate import estimate
from crossfade.report.measures import said_seconds
from crossfade.spec.fragment import trusted
from crossfade.steps.compose import given_values, table
from crossfade.steps.step import (
    AnyStep,
    Autocommit,
    Brownout,
    BuildIndex,
    Check,
    Compare,
    Copy,
    Ddl,
    DropIndex,
    EndReplication,
    Leg,
    RebuildIndex,
    Replicate,
    Script,
    Switch,
    Walk,
)

Risk = Literal["none", "note", "warning", "danger"]
RISKS: tuple[Risk, ...] = ("none", "note", "warning", "danger")
STYLE_OF_RISK = {"none": "green", "note": "cyan", "warning": "yellow", "danger": "bold red"}

MEANING = {
    "expand": "short DDL only; the old version notices nothing, the new one may write when it ends",
    "backfill": "existing rows, in batches beside live traffic",
    "validate": "both sides are proved to agree and new rules are checked; the new side alone could serve",
    "tighten": "new rules bind the old version's writes too",
    "cutover": "names are swapped in one short transaction; the old side is kept in step",
    "brownout": "old columns are hidden for minutes, what fails is counted, and they are given back",
    "retire": "the old side is hidden under another name and still kept in step: undo is instant",
    "archive": "the sync ends; the old values are kept aside and can be restored",
    "drop": "the old side is removed; only the new shape is left",
}


@dataclass(frozen=True)
class Line:
    """One step as a reader sees it. seconds: the estimate, None for an instant or where it is not known."""

    number: int
    step: AnyStep
    locks: tuple[str, ...]
    waits: str
    undo: str
    seconds: float | None


@dataclass(frozen=True)
class Section:
    """One leg: its gates, and its steps by database, in the plan's order of databases."""

    leg: Leg
    meaning: str
    before: tuple[str, ...]
    databases: tuple[tuple[str, tuple[Line, ...]], ...]
    after: tuple[str, ...]

    @property
    def heading(self) -> str:
        return f"contract: {self.leg}" if self.leg.stage else str(self.leg)

    @property
    def seconds(self) -> float:
        """Databases are worked on one after the other."""
        return sum(line.seconds or 0 for _, lines in self.databases for line in lines)


@dataclass(frozen=True)
class Outline:
    """A whole plan. risk: the highest of its hazards, and at least a warning where a step cannot be undone."""

    plan: Plan
    risk: Risk
    sections: tuple[Section, ...]

    @property
    def seconds(self) -> float:
        return sum(section.seconds for section in self.sections)


def outline(plan: Plan) -> Outline:
    """Put a plan in reading order."""
    return Outline(plan, _risk(plan), tuple(_sections(plan)))


def section_of(plan: Plan, leg: Leg) -> Section:
    """One leg of a plan, without the work for those after it."""
    return next(section for section in _sections(plan) if section.leg == leg)


def statements(step: AnyStep) -> tuple[str, ...]:
    """The SQL a step runs, as it is sent; a walk's batch runs many times, with a range of rows as $1 and $2."""
    match step:
        case Ddl() | Autocommit():
            return step.statements
        case BuildIndex():
            return (step.statement,)
        case DropIndex():
            return (f'DROP INDEX CONCURRENTLY "{step.relation.schema_name}"."{step.index}"',)
        case RebuildIndex():
            return (f'REINDEX INDEX CONCURRENTLY "{step.relation.schema_name}"."{step.index}"',)
        case Walk():
            return (
                trusted(step.batch).format(leaf=table(step.relation), given=given_values()).as_string(None).strip(),
            )
        case Replicate() | EndReplication() | Compare() | Switch():
            return ()
        case Copy():
            return (f"COPY ({step.of.chunk}) TO STDOUT (FORMAT binary)",)
        case Brownout():
            return (*step.hide, *step.restore)
        case Check():
            return (step.query,)


def _sections(plan: Plan) -> Iterator[Section]:
    number = 0
    for leg in plan.legs:
        databases: list[tuple[str, tuple[Line, ...]]] = []
        for database in plan.databases:
            lines: list[Line] = []
            for step in plan.steps_of(leg, database):
                number += 1
                lines.append(_line(plan, step, number))
            if lines:
                databases.append((database, tuple(lines)))
        yield Section(
            leg,
            MEANING[str(leg)],
            _labels(plan, f"before {leg}"),
            tuple(databases),
            _labels(plan, f"after {leg}"),
        )


def _line(plan: Plan, step: AnyStep, number: int) -> Line:
    locks = tuple(f"{lock.mode} on {'ONLY ' * lock.alone}{lock.relation}" for lock in step.locks)
    undo = f"cannot be undone: {step.undo_title}" if step.irreversible else step.undo_title
    return Line(number, step, locks, _waits(plan, step), undo, estimate(plan, step))


def _waits(plan: Plan, step: AnyStep) -> str:
    """Who waits because of the step, and for how long at most."""
    made_to_wait = [f"{lock.blocks} of {lock.relation}" for lock in step.locks if lock.blocks_clients]
    match step:
        case Walk() if any(lock.mode == "ROW EXCLUSIVE" for lock in step.locks):
            return f"a writer of a row in the batch waits up to {said_seconds(plan.settings.batch_target)}"
        case Walk() | Check() | Copy() | Replicate() | EndReplication() | Compare():
            return "nobody waits"
        case Switch():
            return "statements of all clients wait in the pooler, for under two seconds, or it is tried again later"
        case Ddl(script=Script() as script) | Autocommit(script=Script() as script):
            said = [f"{' and '.join(made_to_wait)} wait until it is done"] if made_to_wait else []
            if script.unknown_locks:
                said.append("other locks not known" if step.locks else "locks not known")
            return "; ".join(said) or "nobody waits"
        case Ddl() | Autocommit() if not step.locks:
            return "nobody waits"
        case Ddl(works_locked=True):
            return f"{' and '.join(made_to_wait)} wait until it is done"
        case _ if made_to_wait:
            patience = said_seconds(plan.settings.lock_timeout)
            return f"{' and '.join(made_to_wait)} wait up to {patience} for the lock, then an instant"
        case _:
            return "only other DDL waits"


def _labels(plan: Plan, point: str) -> tuple[str, ...]:
    return tuple(gate_of(planned).label for planned in plan.gates_at(point))


def _risk(plan: Plan) -> Risk:
    found: list[Risk] = ["none", *(hazard.risk for hazard in plan.hazards)]
    if any(step.irreversible for step in plan.steps):
        found.append("warning")
    return max(found, key=RISKS.index)
