"""Where contract ends: with the last stage the spec names; what must be done by then, and what is left behind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from crossfade.changes import Refused
from crossfade.plan.compiled import CompiledChange
from crossfade.plan.plan import PlannedHazard
from crossfade.spec.model import STAGES, GatePoint, Migration, Stage
from crossfade.spec.values import format_duration
from crossfade.steps.brownout import untried
from crossfade.steps.old_writes import counted
from crossfade.steps.rows import Sides
from crossfade.steps.step import AnyStep, Check

_NAMELESS = ("revoke", "set_row_security")  # kinds that take from old programs what a statement does not name


def refuse_unfinished(migration: Migration, compiled: Sequence[CompiledChange]) -> None:
    """Contract may leave the old side behind, but not a change half done."""
    for change in compiled:
        needed = max(_needed(change), key=STAGES.index, default=None)
        if needed is not None and migration.ends_before(needed):
            raise Refused(
                f"contract ends with `{migration.last_stage}`, and the {change.entry.kind} in line"
                f" {change.entry.where.line} is done in `{needed}`",
                where=migration.position("contract", "stages", len(migration.stages) - 1),
                why="the migration would be complete without it",
                fix=f"add `- {needed}:` to contract's stages, or leave `stages` out",
            )


def refuse_untried(migration: Migration, compiled: Sequence[CompiledChange], tables: Sequence[Sides]) -> None:
    """A trial of retire tries all of it: what nobody saw fail would be hidden with what they did."""
    if migration.brownout is None:
        return
    found = [(f"table {sides.relation}", why) for sides in tables if (why := untried(sides)) is not None]
    found += [
        (f"{change.entry.kind} in line {change.entry.where.line}", "its tables are kept in step by triggers of theirs")
        for change in compiled
        if change.result.takes and _acts_in(change, "retire") and not _acts_in(change, "brownout")
    ]
    found += [
        (f"{change.entry.kind} in line {change.entry.where.line}", "it takes rights or rows, and no name to be hidden")
        for change in compiled
        if change.entry.kind in _NAMELESS and _acts_in(change, "retire")
    ]
    for what, why in found:
        at = next(n for n, stage in enumerate(migration.stages) if stage.stage == "brownout")
        raise Refused(
            f"`brownout` cannot try what `retire` hides of {what}",
            where=migration.position("contract", "stages", at),
            why=why,
            fix="leave `brownout` out, and hold `retire` back by gates (deployed, unused): it can be turned back at"
            " once while the old side is kept in step; or put the change into a migration of its own",
        )


def _acts_in(change: CompiledChange, stage: Stage) -> bool:
    """It does something of its own in the stage."""
    return any(step.leg.stage == stage for step in change.result.steps if not isinstance(step, Check))


def _needed(change: CompiledChange) -> Iterator[Stage]:
    """The stages in which a change does its work; what archive and drop do with old columns may be left out."""
    for step in change.result.steps:
        if step.leg.stage is not None:
            yield step.leg.stage
    for _, pair in change.result.pairs:
        yield pair.turns_at


def is_reached(migration: Migration, step: AnyStep) -> bool:
    """The step is of a phase, or of a stage that contract gets to."""
    return step.leg.stage is None or not migration.ends_before(step.leg.stage)


def kept_for(migration: Migration) -> timedelta | None:
    """How long old values are kept aside; None: they are not."""
    archives = any(stage.stage == "archive" for stage in migration.stages)
    return migration.head.contract.keep if archives else None


def contract_hazards(
    migration: Migration, compiled: Sequence[CompiledChange], tables: Sequence[Sides], left_out: Sequence[AnyStep]
) -> Iterator[PlannedHazard]:
    """What becomes of the old side, where a reviewer should give it a second look."""
    if never := [step.title for step in left_out if not isinstance(step, Check)]:
        yield PlannedHazard(
            code="contract-ends-early",
            risk="warning",
            change="contract",
            what=f"contract ends with `{migration.last_stage}`; never done: {'; '.join(never)}",
            fix="to have it done later, name `drop` too, with gates that hold it back: they can wait for as long as"
            " you like, and stages cannot be added once the migration has started",
        )
    if migration.head.contract.count_writes and not any(map(counted, tables)):
        yield PlannedHazard(
            code="counts-nothing",
            risk="warning",
            change="contract",
            what="`count_writes` counts nothing: no column keeps its name until `retire` for clients to write",
            fix="delete it; what old versions are left, the gate `deployed` tells",
        )
    destroys = any(change.result.drops or any(pair.old for _, pair in change.result.pairs) for change in compiled)
    for stage in migration.stages:
        if stage.options.keep and not destroys and not any(change.result.keeps for change in compiled):
            said = f"`keep: {format_duration(stage.options.keep)}` of `{stage.stage}`"
            yield PlannedHazard(
                code="never-asked",
                risk="warning",
                change="contract",
                what=f"{said} keeps nothing: no change of this migration takes anything away",
                fix="delete it",
            )
    if not destroys or migration.ends_before("drop"):
        return
    kept = kept_for(migration) is not None
    if not kept:
        yield PlannedHazard(
            code="no-archive",
            risk="danger",
            change="contract",
            what="without an archive stage the old values cannot be restored once they are dropped",
            fix="add `archive: {keep: 30d}` to contract's stages",
        )
    if not kept or not _is_guarded(migration):
        yield PlannedHazard(
            code="unguarded-drop",
            risk="warning",
            change="contract",
            what="the old side is dropped as soon as the new side is validated"
            if not _is_guarded(migration)
            else "when the gates of contract hold, the old side is dropped for good",
            fix="give contract a gate (soak, approval) or its stages an `after`, and an archive",
        )


def _is_guarded(migration: Migration) -> bool:
    """Something holds contract back before it drops."""
    last = (GatePoint("contract", "after"), GatePoint("contract", "after", "drop"))
    gated = any(point.phase == "contract" and point not in last for point in migration.gates)
    return gated or any(stage.options.after for stage in migration.stages)
