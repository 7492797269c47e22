"""From the pairs of a table to the steps of all phases.

Every change that maps columns is carried by these steps, whatever its kind; several changes of one table share
them, so that a table has one trigger function and is walked once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from crossfade.catalog.model import Name
from crossfade.spec.model import Stage
from crossfade.steps import archive, brownout, carry, fill, numbering, old_writes, replaced_key, turn
from crossfade.steps.altered import as_planned
from crossfade.steps.followers import followers, sampled_again
from crossfade.steps.mirror import course as mirrored
from crossfade.steps.rows import Moment, Sides
from crossfade.steps.step import VALIDATE, AnyStep, stage_leg


def transitions(tables: Sequence[Sides]) -> Iterator[AnyStep]:
    """All steps of all tables, in order within each leg."""
    for together in _turning_together(tables):
        yield from _transition(together)


def _turning_together(tables: Sequence[Sides]) -> list[list[Sides]]:
    """Tables whose columns are of one type that changes its name: it means one or the other, not both."""
    groups: list[list[Sides]] = []
    for sides in tables:
        renamed = _renamed(sides)
        mates = [group for group in groups if renamed and any(renamed & _renamed(other) for other in group)]
        groups = [group for group in groups if group not in mates]
        groups.append([*(each for group in mates for each in group), sides])
    return groups


def _renamed(sides: Sides) -> set[tuple[str, Name]]:
    return {(sides.database, type_.before) for pair in sides.pairs for type_ in pair.renamed}


def _transition(together: Sequence[Sides]) -> Iterator[AnyStep]:
    for sides in together:
        yield from _up_to_turn(sides)
    swapping = [sides for sides in together if sides.swaps]
    for sides in swapping:
        yield from replaced_key.let_go(sides)
        yield from numbering.widened(sides)
        yield from as_planned(sides, "cutover")
        if sides.filled:
            yield from fill.proof(sides, stage_leg("cutover"), "side by side")
    if swapping:
        yield turn.turn(swapping, "cutover", "side by side", "swapped")
    for sides in swapping:
        yield from _sampled(sides, "cutover")
        yield from numbering.handed_over(sides)
        yield from replaced_key.named(sides)
    for sides in together:
        yield from brownout.steps(sides)
        if sides.retires:
            yield from _retire(sides)
        yield from archive.steps(sides)


def _up_to_turn(sides: Sides) -> Iterator[AnyStep]:
    yield from fill.expand(sides)
    yield from old_writes.steps(sides)
    if sides.filled:
        yield fill.backfill(sides)
        if sides.waits:
            yield fill.gather(sides)
        yield from fill.proof(sides, VALIDATE, "side by side")
    for pair in sides.pairs:
        for rule in turn.rules_of(sides, pair):
            yield from rule.steps
    yield from carry.steps(sides)
    yield from replaced_key.made(sides)


def _retire(sides: Sides) -> Iterator[AnyStep]:
    before: Moment = "swapped" if sides.swaps else "side by side"
    yield from as_planned(sides, "retire")
    if sides.filled:
        yield from fill.proof(sides, stage_leg("retire"), before)
    for mirror in sides.mirrors:
        yield mirrored.parity(mirror, stage_leg("retire"))
    yield turn.turn((sides,), "retire", before, "retired")
    yield from _sampled(sides, "retire")


def _sampled(sides: Sides, stage: Stage) -> Iterator[AnyStep]:
    turned = followers(pair for pair in sides.pairs if pair.turns_at == stage)
    yield from sampled_again(sides.id(stage), stage_leg(stage), sides.database, turned)
