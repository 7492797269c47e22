"""Overrides: a gate that people who may have opened, by an approval that names it, its point and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crossfade.errors import UsageError
from crossfade.gates import Answer, GateContext, take_in_approvals, tally
from crossfade.plan import Plan, gate_of
from crossfade.spec import Settings, did_you_mean
from crossfade.spec.approvals import OverrideRule


@dataclass(frozen=True)
class Override:
    """by: who agreed on it. reasons: why, by their words."""

    by: tuple[str, ...]
    reasons: tuple[str, ...]

    def answer(self, instead_of: Mapping[str, Any]) -> Answer:
        """What the gate answers by it; instead_of: what it would have said."""
        by, why = ", ".join(self.by), "; ".join(self.reasons)
        evidence = {"overridden_by": list(self.by), "because": list(self.reasons), "instead_of": dict(instead_of)}
        return Answer("holds", f"overridden by {by}: {why}", evidence=evidence)


def overrides_at(plan: Plan, context: GateContext) -> Mapping[str, Override]:
    """The overrides that count at the context's point, by the label of their gate."""
    take_in_approvals(context)
    given = [each for each in context.ledger.approvals(plan.migration) if each.point == context.point]
    rule = override_rule(plan, context.settings)
    if rule is None:
        return {}
    found: dict[str, Override] = {}
    for label in dict.fromkeys(gate_of(planned).label for planned in plan.gates_at(context.point)):
        counted = tally(context, rule, [each for each in given if each.gate == label])
        if counted.is_enough:
            found[label] = Override(counted.valid, counted.reasons)
    return found


def override_rule(plan: Plan, settings: Settings) -> OverrideRule | None:
    """Who may override gates of the plan: as its spec says, else as the project does; None: nobody."""
    return OverrideRule.model_validate(plan.override) if plan.override is not None else settings.override


def gate_to_override(plan: Plan, label: str, at: str | None) -> tuple[str, str]:
    """The point and the label of the one gate that is meant; raises UsageError when it is none, or more than one.

    at: the point, where gates of that label stand at several.
    """
    gates = [(each.point, gate_of(planned).label, planned) for each in plan.gates for planned in each.gates]
    labels = dict.fromkeys(known for _, known, _ in gates)
    if label not in labels:
        raise UsageError(
            f"`{label}` is no gate of {plan.migration}",
            why="only gates can be overridden; what the engine itself makes sure of cannot",
            fix=did_you_mean(label, list(labels)) if labels else None,
        )
    points = list(dict.fromkeys(point for point, known, _ in gates if known == label))
    if at is not None and at not in points:
        raise UsageError(f"`{label}` does not stand {at}", fix=f"it stands {', '.join(points)}")
    if at is None and len(points) > 1:
        raise UsageError(
            f"`{label}` stands {', '.join(points)}",
            why="an override is for one gate at one point",
            fix=f'say which with --at "{points[0]}"',
        )
    point = at or points[0]
    if len({planned.model_dump_json() for where, known, planned in gates if (where, known) == (point, label)}) > 1:
        raise UsageError(
            f"two gates {point} are called `{label}`",
            why="an override is for one gate, and their names do not tell them apart",
            fix="give one of them a `title` in a new spec",
        )
    return point, label
