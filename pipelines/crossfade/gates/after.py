"""after: another migration has come so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from crossfade.gates._failure import asking
from crossfade.gates._gate import Answer, Gate, GateContext, GateError
from crossfade.spec.model import PHASES, STAGES, Phase, Stage
from crossfade.spec.values import MigrationId

if TYPE_CHECKING:
    from crossfade.ledger import LegRecord, MigrationRecord

_COURSE: tuple[str, ...] = (*PHASES[:-1], *STAGES)


class AfterGate(Gate):
    """Hold when another migration is complete, or has passed a phase or stage."""

    after: MigrationId = Field(description="The other migration's id.")
    passed: Phase | Stage | None = Field(
        None, description="The phase or stage that it must have passed; default: all of it.", examples=["retire"]
    )

    @property
    def label(self) -> str:
        return f"after {self.after}" + (f" {self.passed}" if self.passed else "")

    @property
    def awaits(self) -> tuple[str, str | None]:
        return self.after, self.passed

    def ask(self, context: GateContext) -> Answer:
        database = context.homes.get(self.after)
        if database is None:
            raise GateError(
                f"{self.label}: the spec of {self.after} cannot be read here",
                why="without it nothing tells in which database it is known",
                fix="`crossfade check` says what is wrong with it",
            )
        from crossfade.ledger import Ledger, is_installed

        with asking(self.label), context.open(database) as session:
            ledger = Ledger(session)
            record = ledger.migration(self.after) if is_installed(session) else None
            legs = ledger.legs(self.after) if record is not None else {}
        evidence = {"database": database, "state": record.state if record is not None else "not started"}
        if record is None:
            return Answer("waits", f"{self.after} has not started", evidence=evidence)
        return self._answer(record, legs, evidence)

    def _answer(self, record: MigrationRecord, legs: dict[str, LegRecord], evidence: dict[str, str]) -> Answer:
        name = self.after
        match record.state:
            case "complete":
                return Answer("holds", f"{name} is complete", evidence=evidence)
            case "undone":
                why = f"{name} was undone, so this waits until `crossfade up {name}` has taken it there again"
                return Answer("waits", why, evidence=evidence)
            case "undoing":
                return Answer("waits", f"{name} is being undone", evidence=evidence)
            case "running":
                pass
        path = [str(leg["stage"] or leg["phase"]) for leg in record.plan["legs"]]
        passed = [leg for leg in path if leg in legs and legs[leg].passed_at is not None]
        if self.passed is not None and self.passed in _COURSE:
            # A stage in which it has nothing to do is passed with the one before.
            wanted = [leg for leg in path if _COURSE.index(leg) <= _COURSE.index(self.passed)]
            if all(leg in passed for leg in wanted):
                return Answer("holds", f"{name} has passed {wanted[-1]}", evidence=evidence)
        here = next((leg for leg in path if leg not in passed), path[-1])
        paused = " and is paused" if record.paused_at is not None else ""
        return Answer("waits", f"{name} is at {here}{paused}", evidence={**evidence, "at": here})
