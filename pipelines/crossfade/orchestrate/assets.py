"""A migration as Dagster sees it: an asset a phase and contract stage, and a blocking check a set of gates.

No postponed annotations here: Dagster reads those of the functions below.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from typing import Any

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    AssetSpec,
    DagsterInvalidDefinitionError,
    MaterializeResult,
    asset,
    asset_check,
)

from crossfade.orchestrate.advance import Turn
from crossfade.orchestrate.ask import Question
from crossfade.orchestrate.gate_sets import GateSet
from crossfade.orchestrate.keys import MIGRATION_TAG, PHASE_TAG, STAGE_TAG, group_of, leg_key, pool_of
from crossfade.orchestrate.references import code_references
from crossfade.orchestrate.words import description
from crossfade.plan import Plan
from crossfade.spec import Migration
from crossfade.steps.step import Leg


def leg_asset(turn: Turn, after: Iterable[AssetKey], plan: Plan | None) -> AssetsDefinition:
    """The asset of one leg; after: what comes right before it. plan: that it runs by; None: not known."""
    migration, leg = turn.migration, turn.leg

    @asset(
        key=leg_key(migration, leg),
        deps=list(after),
        group_name=group_of(migration),
        description=description(migration, leg, plan),
        kinds={"postgres"},
        owners=[*_owners((migration.head.owner or "").strip())],
        tags=_tags(migration, leg),
        metadata=code_references([migration.position("migration")]),
        pool=pool_of(migration),
        output_required=False,
    )
    def advance(context: AssetExecutionContext) -> Iterator[MaterializeResult[Any]]:
        result = turn.take(context)
        if result is not None:
            yield result

    return advance


def gate_check(question: Question) -> AssetChecksDefinition:
    """The check of one set of gates. It keeps the rest of its own run back; the engine keeps everybody back."""
    gates = question.gates

    @asset_check(
        asset=leg_key(question.migration, gates.shown_on),
        name=gates.name,
        description=_asks(gates),
        blocking=True,
    )
    def ask(context: AssetCheckExecutionContext) -> AssetCheckResult:
        return question.ask(context)

    return ask


def _asks(gates: GateSet) -> str:
    leg = gates.leg or "contract"
    if gates.moment == "before":
        return f"May {leg} start? Asks the gates before it; the engine asks them again when it starts."
    return f"Has {leg} done what it should? Asks the gates after it, before anything may follow."


@cache
def _owners(owner: str) -> tuple[str, ...]:
    """As Dagster takes it: an address as it understands them, and else a team, for one it refuses ends the loading."""
    for said in (owner, f"team:{owner}") if owner else ():
        with suppress(DagsterInvalidDefinitionError):
            AssetSpec("owned", owners=[said])
            return (said,)
    return ()


def _tags(migration: Migration, leg: Leg) -> dict[str, str]:
    tags = {MIGRATION_TAG: migration.id, PHASE_TAG: leg.phase}
    return tags | {STAGE_TAG: leg.stage} if leg.stage is not None else tags
