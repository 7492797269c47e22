"""Which gates stand at which point of a plan, and what the spec says of points that the plan never comes to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta

from crossfade.catalog.model import Catalog, Name
from crossfade.gates import GATES, Gate
from crossfade.plan.compiled import CompiledChange
from crossfade.plan.contract import kept_for
from crossfade.plan.plan import GateSetAt, PlannedGate, PlannedHazard
from crossfade.spec.model import GatePoint, Migration, Stage, StageOptions, StageSpec
from crossfade.spec.values import format_duration
from crossfade.spec.window import Window
from crossfade.steps.step import BACKFILL, EXPAND, VALIDATE, AnyStep, Leg, stage_leg

_MAY_BEGIN = timedelta(minutes=15)


def legs_of(migration: Migration, steps: Sequence[AnyStep]) -> tuple[Leg, ...]:
    """The first three phases always; of contract the stages that do something or that the spec waits in."""
    named = [stage_leg(stage.stage) for stage in migration.stages if _has_gates(stage)]
    found = [EXPAND, BACKFILL, VALIDATE, *named, *(step.leg for step in steps)]
    return tuple(sorted(dict.fromkeys(found), key=lambda leg: leg.order))


def _has_gates(stage: StageSpec) -> bool:
    return bool(stage.options.gates.before or stage.options.gates.after or stage.options.gates.plain)


def gates_of(
    migration: Migration, legs: Sequence[Leg], catalogs: Mapping[str, Catalog], compiled: Sequence[CompiledChange]
) -> tuple[GateSetAt, ...]:
    """The gates of each point, in the order they are written; then soaks, then windows."""
    points: dict[str, list[PlannedGate]] = {}

    def add(point: str, gate: PlannedGate) -> None:
        points.setdefault(point, []).append(gate)

    for point, entries in migration.gates.items():
        place = place_of(point, legs)
        for entry in entries if place is not None else ():
            body = entry.body.model_dump(mode="json", by_alias=True, exclude_defaults=True)
            add(str(place), PlannedGate(kind=entry.kind, body=body))
    for stage, after in _waits(migration, catalogs, compiled).items():
        if stage_leg(stage) in legs:
            add(f"before {stage}", PlannedGate(kind="soak", body={"soak": _milliseconds(after)}))
    window = migration.head.contract.window
    brownout = next((each.options for each in migration.stages if each.stage == "brownout"), None)
    if brownout is not None and stage_leg("brownout") in legs:
        if brownout.at is not None:
            body = {"window": _from(brownout.at, brownout, window).model_dump(mode="json", by_alias=True)}
            add("before brownout", PlannedGate(kind="window", body=body))
        accepted = {"without_log": True} if brownout.without_log else {}
        add("after brownout", PlannedGate(kind="calm", body={"calm": 0, **accepted}))
    for leg in legs:
        if window is not None and leg.phase == "contract":
            body = {"window": window.model_dump(mode="json", by_alias=True)}
            add(f"before {leg}", PlannedGate(kind="window", body=body))
    return tuple(GateSetAt(point=point, gates=tuple(gates)) for point, gates in points.items())


def _from(at: str, options: StageOptions, window: Window | None) -> Window:
    """The quarter of an hour in which it may begin, on the days of contract's window."""
    ends = datetime.combine(date.min, time.fromisoformat(at)) + _MAY_BEGIN
    return Window(
        days=window.days if window is not None else "mon-sun",
        hours=f"{at}-{ends:%H:%M}",
        timezone=options.timezone or (window.timezone if window is not None else "UTC"),
    )


def gate_of(planned: PlannedGate) -> Gate:
    """The gate as a model, from its planned form."""
    model = GATES.model(planned.kind)
    gate = model.model_validate(planned.body)
    assert isinstance(gate, Gate)
    return gate


def place_of(point: GatePoint, legs: Sequence[Leg]) -> str | None:
    """Gates of contract as a whole stand before its first stage, or after its last; where it has none, nowhere."""
    if point.phase != "contract" or point.stage is not None:
        return str(point)
    stages = [leg for leg in legs if leg.phase == "contract"]
    return f"{point.moment} {stages[0] if point.moment == 'before' else stages[-1]}" if stages else None


def _waits(
    migration: Migration, catalogs: Mapping[str, Catalog], compiled: Sequence[CompiledChange]
) -> dict[Stage, timedelta]:
    """How long each stage waits after the one before it."""
    waits: dict[Stage, timedelta] = {
        stage.stage: stage.options.after for stage in migration.stages if stage.options.after
    }
    keyless = _in_place_archive(migration, catalogs, compiled)
    if keyless is not None:
        waits["drop"] = max(waits.get("drop", timedelta(0)), keyless)
    return waits


def _in_place_archive(
    migration: Migration, catalogs: Mapping[str, Catalog], compiled: Sequence[CompiledChange]
) -> timedelta | None:
    """What is hidden is the archive itself, there for as long as values are kept: a table, and a column where no key
    stays, unless a new column holds its values.
    """
    leaving: dict[tuple[str, Name], set[str]] = {}
    for change in compiled:
        for table, pair in change.result.pairs:
            parting = pair.old if pair.fits is None else ()
            leaving.setdefault((change.database, table), set()).update(parting)
    keys = {(database, table): catalogs[database].tables[table].key for database, table in leaving}
    keyless = any(gone and (not keys[place] or gone & set(keys[place])) for place, gone in leaving.items())
    hidden = keyless or any(change.result.drops for change in compiled)
    return kept_for(migration) if hidden else None


def _milliseconds(value: timedelta) -> str:
    return f"{int(value.total_seconds() * 1000)}ms"


def unasked_hazards(migration: Migration, legs: Sequence[Leg]) -> Iterator[PlannedHazard]:
    """What the spec says of contract, or of a stage, in which this migration has nothing to do."""
    for said in _unasked(migration, legs):
        yield PlannedHazard(
            code="never-asked",
            risk="warning",
            change="contract",
            what=f"{said}: this migration has nothing to do there",
            fix="delete it, or say it of a phase or stage in which something is done",
        )


def _unasked(migration: Migration, legs: Sequence[Leg]) -> Iterator[str]:
    for point in migration.gates:
        if place_of(point, legs) is None:
            yield f"the gates {point} are never asked"
    if migration.head.contract.window is not None and all(leg.phase != "contract" for leg in legs):
        yield "the window of contract is never asked"
    if migration.brownout is not None and stage_leg("brownout") not in legs:
        yield "`brownout` hides nothing"
    for stage in migration.stages:
        if stage.options.after and stage_leg(stage.stage) not in legs:
            yield f"`after: {format_duration(stage.options.after)}` of `{stage.stage}` is not waited for"
