"""Rules on columns that stay where they are: added under a name that tells the migration, finished in contract."""

from __future__ import annotations

from collections.abc import Sequence

from crossfade.changes._context import Context
from crossfade.steps.compose import lock
from crossfade.steps.rules import Place, Rule
from crossfade.steps.step import AnyStep, Ddl, stage_leg


def ruled(context: Context, place: Place, rules: Sequence[Rule]) -> tuple[AnyStep, ...]:
    """The steps that add the rules, and one that gives them their lasting form when old writers are gone."""
    steps = [step for rule in rules for step in rule.steps]
    finish = tuple(statement for rule in rules for statement in rule.finish)
    if not finish:
        return tuple(steps)
    leg = stage_leg("cutover")
    step_id = place.id("rules", str(context.index), "finish")
    return (
        *steps,
        Ddl(
            id=step_id,
            leg=leg,
            database=context.database,
            title=f"give the new rules of {place.relation} their lasting names",
            locks=lock(place.relation, "ACCESS EXCLUSIVE"),
            statements=finish,
            undo=(
                Ddl(
                    id=f"{step_id}/undo",
                    leg=leg,
                    database=context.database,
                    title=f"give the new rules of {place.relation} the migration's names again",
                    locks=lock(place.relation, "ACCESS EXCLUSIVE"),
                    statements=tuple(statement for rule in reversed(rules) for statement in rule.unfinish),
                ),
            ),
            undo_title="rename back",
        ),
    )
