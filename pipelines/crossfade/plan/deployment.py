"""When versions of services come and go beside a migration: which legs they wait for, and which wait for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from crossfade.changes import Refused
from crossfade.errors import Problem
from crossfade.gates.deployed import DeployedGate
from crossfade.plan.compiled import CompiledChange
from crossfade.plan.gates import gate_of
from crossfade.plan.plan import GateSetAt, PlannedApplication, PlannedGate
from crossfade.spec.applications import Application, is_older
from crossfade.spec.model import STAGES, Migration, Stage
from crossfade.steps.step import EXPAND, AnyStep, Leg, stage_leg

# What may tell that nobody needs the old shape where no version is known that does without it.
_TELLING = {"approval", "unused"}


def applications_of(
    migration: Migration, databases: Sequence[str], steps: Sequence[AnyStep], compiled: Sequence[CompiledChange]
) -> tuple[PlannedApplication, ...]:
    """The services that the spec names, with the legs that matter to them. databases: all of the migration."""
    return tuple(_planned(each, databases, steps, compiled) for each in migration.head.applications)


def _planned(
    application: Application, databases: Sequence[str], steps: Sequence[AnyStep], compiled: Sequence[CompiledChange]
) -> PlannedApplication:
    places = tuple(filter(application.works_with, databases))
    breaks = [stage for database in places if (stage := _breaks(database, steps, compiled)) is not None]
    tightens = any(step.leg == stage_leg("tighten") and step.database in places for step in steps)
    opens = any(_opens(change) for change in compiled if change.database in places)
    return PlannedApplication(
        service=application.service,
        databases=places,
        writes_new=application.writes_new,
        reads_new=application.reads_new,
        without_old=application.without_old,
        opens=str(EXPAND) if opens else None,
        tightens="tighten" if tightens else None,
        breaks=min(breaks, key=STAGES.index, default=None),
    )


def _opens(change: CompiledChange) -> bool:
    """It gives the new version something to see before the old one loses anything."""
    result = change.result
    made = (result.adds, result.creates, result.shows, result.defines, result.versions, result.takes)
    return any(made) or any(pair.new and not pair.swap for _, pair in result.pairs)


def _breaks(database: str, steps: Sequence[AnyStep], compiled: Sequence[CompiledChange]) -> Stage | None:
    """The first stage after which something is gone, or no more kept right, that old versions use there."""
    taken: set[Stage] = {stage for change in compiled if change.database == database for stage in _takes_at(change)}
    if "retire" in taken:
        taken.add("brownout")
    reached = {step.leg.stage for step in steps if step.database == database}
    return next((stage for stage in STAGES if stage in taken & reached), None)


def _takes_at(change: CompiledChange) -> Iterator[Stage]:
    result = change.result
    if result.versions or result.takes:
        yield "retire"  # until then the old version has views, or a name of its own
    else:
        for step in result.steps:
            if step.leg.stage is not None and step.leg.stage != "tighten":
                yield step.leg.stage
        for _, pair in result.pairs:
            yield pair.turns_at if pair.old else "archive"  # with it the sync ends


def with_deployed(
    migration: Migration,
    applications: Sequence[PlannedApplication],
    legs: Sequence[Leg],
    steps: Sequence[AnyStep],
    compiled: Sequence[CompiledChange],
    gates: Sequence[GateSetAt],
) -> tuple[GateSetAt, ...]:
    """The gates, and those that keep a leg back while a version runs that it would break; raises Refused."""
    points = {at.point: list(at.gates) for at in gates}
    problems: list[Problem] = []
    for index, (said, planned) in enumerate(zip(migration.head.applications, applications, strict=True)):
        for database in planned.databases:
            stage = _breaks(database, steps, compiled)
            wanted = [("tighten" if planned.tightens else None, said.writes_new), (stage, said.without_old)]
            for at, version in wanted:
                if at is not None and version is not None:
                    gate = _deployed(said, version, database, migration)
                    written = points.setdefault(f"before {at}", [])
                    if not any(_asks_as_much(each, gate) for each in written):
                        written.append(gate)
            if stage is not None and said.without_old is None and not _is_told(points, legs, stage):
                problems.append(_unknown(migration, index, said, database, stage))
    problems += _too_lax(migration, applications)
    if problems:
        raise Refused.of(dict.fromkeys(problems))
    return tuple(GateSetAt(point=point, gates=tuple(found)) for point, found in points.items() if found)


def _deployed(application: Application, version: str, database: str, migration: Migration) -> PlannedGate:
    if application.url is not None:
        seen, elsewhere = {"url": application.url, "path": application.path}, None
    else:
        seen, elsewhere = {"service": application.service}, database if database != migration.head.database else None
    asked = {**seen, "at_least": version, "allow_none": application.allow_none}
    gate = DeployedGate.model_validate({"deployed": asked, "database": elsewhere})
    return PlannedGate(kind="deployed", body=gate.model_dump(mode="json", by_alias=True, exclude_defaults=True))


def _asks_as_much(written: PlannedGate, wanted: PlannedGate) -> bool:
    """It is of the same sessions or endpoint, and lets no older version pass."""
    one, other = gate_of(written), gate_of(wanted)
    if not isinstance(one, DeployedGate) or not isinstance(other, DeployedGate):
        return False
    as_old = one.deployed.model_copy(update={"at_least": other.deployed.at_least})
    same = as_old == other.deployed and one.database == other.database
    return same and not is_older(one.deployed.at_least, other.deployed.at_least)


def _is_told(points: dict[str, list[PlannedGate]], legs: Sequence[Leg], stage: Stage) -> bool:
    """Before the stage, in contract, somebody is asked who can know."""
    until = [leg for leg in legs if leg.phase == "contract" and leg.order <= stage_leg(stage).order]
    return any(gate.kind in _TELLING for leg in until for gate in points.get(f"before {leg}", ()))


def _unknown(migration: Migration, index: int, application: Application, database: str, stage: Stage) -> Problem:
    return Problem(
        f"`{stage}` takes from {application.service} what all its versions need in {database}",
        migration.position("applications", index),
        "no version of it is known to work without the old shape",
        f"say from which version on it does (`without_old`), or put an `approval` or `unused` gate before `{stage}`",
    )


def _too_lax(migration: Migration, applications: Sequence[PlannedApplication]) -> Iterator[Problem]:
    """Gates behind which a version would be broken that the spec itself says needs the old shape."""
    for point, entries in migration.gates.items():
        for entry in entries:
            for planned in applications:
                if planned.breaks is None or planned.without_old is None or point.phase != "contract":
                    continue
                stage = point.stage or planned.breaks
                if STAGES.index(stage) < STAGES.index(planned.breaks):
                    continue
                if not isinstance(entry.body, DeployedGate) or entry.body.deployed.service != planned.service:
                    continue
                asked = entry.body.deployed.at_least
                if is_older(asked, planned.without_old):
                    yield Problem(
                        f"this gate is content with {planned.service} {asked}, which still needs the old shape",
                        entry.where,
                        f"`applications` says that it does without it from {planned.without_old} on",
                        "delete the gate, since the plan asks for that version by itself; or correct one of the two",
                    )
