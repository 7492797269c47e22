"""Which phases and stages a migration may have, told by its spec alone: definitions load while databases are down.

It may have fewer: the plan, which knows the catalog, leaves out stages in which nothing is to be done. It never has
more.
"""

from __future__ import annotations

from collections.abc import Mapping

from crossfade.changes.sql import Sql
from crossfade.spec import Entry, Migration, StageSpec
from crossfade.spec.model import Stage
from crossfade.steps.step import BACKFILL, EXPAND, VALIDATE, Leg, stage_leg

# Kinds that end earlier than a change of columns does. A kind that is not named here may have every stage.
_STAGES: Mapping[str, tuple[Stage, ...]] = {
    "add_constraint": ("cutover",),
    "create_index": (),
    "create_table": (),
    "drop_index": ("drop",),
    "update_rows": (),
}
_EVERY: tuple[Stage, ...] = ("cutover", "retire", "archive", "drop")


def possible_legs(migration: Migration) -> tuple[Leg, ...]:
    """The legs that the migration's plan may have, in order; the first three phases are in every plan."""
    stages: set[Stage] = {stage for entry in migration.changes for stage in _stages_of(entry)}
    if any(_enforced_late(migration, entry) for entry in migration.changes):
        stages.add("tighten")
    for spec in migration.stages:
        if _has_gates(spec):  # a stage without a step is in the plan for its gates
            stages.add(spec.stage)
    if migration.brownout is not None and "retire" in stages:
        stages.add("brownout")
    reached = [stage_leg(stage) for stage in stages if not migration.ends_before(stage)]
    contract = sorted(reached, key=lambda leg: leg.order)
    return (EXPAND, BACKFILL, VALIDATE, *contract)


def _stages_of(entry: Entry) -> tuple[Stage, ...]:
    match entry.body:
        case Sql(phase="contract", stage=stage):
            return (stage or "drop",)
        case Sql():
            return ()
        case _:
            return _STAGES.get(entry.kind, _EVERY)


def _enforced_late(migration: Migration, entry: Entry) -> bool:
    """By convention of the language, a change that may differ from its migration says so in its `enforce`."""
    return (getattr(entry.body, "enforce", None) or migration.head.enforce) == "contract"


def _has_gates(spec: StageSpec) -> bool:
    gates = spec.options.gates
    return bool(gates.plain or gates.before or gates.after)
