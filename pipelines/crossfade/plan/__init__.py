"""Plans: a migration's steps as data, ordered over phases and databases, with gates and hazards. Never writes."""

from crossfade.plan.compile import compile_plan, databases_of
from crossfade.plan.gates import gate_of
from crossfade.plan.plan import (
    GateSetAt,
    Lineage,
    Plan,
    PlannedApplication,
    PlannedGate,
    PlannedHazard,
    Settings,
    Size,
    VersionViews,
)
from crossfade.plan.target import Target

__all__ = [
    "GateSetAt",
    "Lineage",
    "Plan",
    "PlannedApplication",
    "PlannedGate",
    "PlannedHazard",
    "Settings",
    "Size",
    "Target",
    "VersionViews",
    "compile_plan",
    "databases_of",
    "gate_of",
]
