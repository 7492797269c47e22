"""Which sets of gates a migration has, and on which asset each is shown as a check; told by its spec alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from crossfade.plan import Plan
from crossfade.spec import Migration
from crossfade.spec.model import Moment
from crossfade.steps.step import Leg


@dataclass(frozen=True)
class GateSet:
    """Gates that are asked at one moment, and the check that shows them.

    name: of the check. shown_on: the leg whose asset bears it; gates before a leg are shown on the leg before, which
    they keep from being followed. leg: whose gates these are; None: those of contract as a whole.
    """

    name: str
    shown_on: Leg
    moment: Moment
    leg: Leg | None

    def leg_in(self, plan: Plan) -> Leg | None:
        """The leg of the plan that these gates stand before or after; None where the plan has none."""
        if self.leg is not None:
            return plan.leg(str(self.leg))
        stages = [leg for leg in plan.legs if leg.phase == "contract"]
        if not stages:
            return None
        return stages[0] if self.moment == "before" else stages[-1]

    def point_in(self, plan: Plan) -> str | None:
        """The point at which the engine asks them, e.g. `before retire`."""
        leg = self.leg_in(plan)
        return f"{self.moment} {leg}" if leg is not None else None


def gate_sets(migration: Migration, legs: Sequence[Leg]) -> tuple[GateSet, ...]:
    """The sets of gates that the spec has; legs: those the migration may have."""
    return tuple(_gate_sets(migration, legs))


def _gate_sets(migration: Migration, legs: Sequence[Leg]) -> Iterator[GateSet]:
    points = {(point.moment, point.stage or point.phase) for point in migration.gates}
    waiting = {stage.stage for stage in migration.stages if stage.options.after}
    previous: Leg | None = None
    for leg in legs:
        before = ("before", str(leg)) in points
        if leg.phase == "contract":
            before = before or migration.head.contract.window is not None or leg.stage in waiting
        if leg.phase == "contract" and (previous is None or previous.phase != "contract"):
            if before or ("before", "contract") in points:
                yield GateSet("may_contract", previous or leg, "before", None)
        elif before:
            yield GateSet(f"may_{leg}", previous or leg, "before", leg)
        if ("after", str(leg)) in points:
            yield GateSet(f"{leg}_gates", leg, "after", leg)
        previous = leg
    if previous is not None and previous.phase == "contract" and ("after", "contract") in points:
        yield GateSet("contract_gates", previous, "after", None)
