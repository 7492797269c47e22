"""From the pairs of a table to the steps of all phases.

Every change that maps columns is carried by these steps, whatever its kind; several changes of one table share
them, so that a table has one trigger function and is walked once.
"""

from __future__ import annotations

from collections.abc import Iterator

from crossfade.steps import archive, carry, fill, numbering, replaced_key, turn
from crossfade.steps.altered import as_planned
from crossfade.steps.mirror import course as mirrored
from crossfade.steps.rows import Moment, Sides
from crossfade.steps.step import VALIDATE, AnyStep, stage_leg


def transition(sides: Sides) -> Iterator[AnyStep]:
    """All steps of a table's transition, in order within each leg."""
    yield from fill.expand(sides)
    if sides.filled:
        yield fill.backfill(sides)
        yield from fill.proof(sides, VALIDATE, "side by side")
    for pair in sides.pairs:
        for rule in turn.rules_of(sides, pair):
            yield from rule.steps
    yield from carry.steps(sides)
    yield from replaced_key.made(sides)
    if sides.swaps:
        yield from replaced_key.let_go(sides)
        yield from numbering.widened(sides)
        yield from as_planned(sides, "cutover")
        if sides.filled:
            yield from fill.proof(sides, stage_leg("cutover"), "side by side")
        yield turn.turn(sides, "cutover", "side by side", "swapped")
        yield from numbering.handed_over(sides)
        yield from replaced_key.named(sides)
    if sides.retires:
        before: Moment = "swapped" if sides.swaps else "side by side"
        yield from as_planned(sides, "retire")
        if sides.filled:
            yield from fill.proof(sides, stage_leg("retire"), before)
        for mirror in sides.mirrors:
            yield mirrored.parity(mirror, stage_leg("retire"))
        yield turn.turn(sides, "retire", before, "retired")
    yield from archive.steps(sides)
