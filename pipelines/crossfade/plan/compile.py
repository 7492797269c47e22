"""From a spec and the databases' catalogs to a plan. Reads only; the same input gives the same plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg

from crossfade.catalog.model import Catalog, Name, Table
from crossfade.changes import Arrival, Change, Compiled, Context, Refused
from crossfade.errors import Problem
from crossfade.plan.plan import GateSetAt, Lineage, Plan, PlannedGate, PlannedHazard, Settings, Size
from crossfade.plan.probe import ServerProbe
from crossfade.spec.model import Entry, GatePoint, Migration, Stage, StageSpec
from crossfade.steps.rows import Pair, Sides, shadow_name
from crossfade.steps.step import BACKFILL, EXPAND, VALIDATE, AnyStep, Leg, Relation, stage_leg
from crossfade.steps.transition import transition


@dataclass(frozen=True)
class Target:
    """A database as planning sees it: its catalog, and a read-only session for questions of meaning."""

    database: str
    schema: str
    catalog: Catalog
    connection: psycopg.Connection[Any]


def databases_of(migration: Migration) -> tuple[str, ...]:
    """The migration's own database first, then those its changes name."""
    named = [_change(entry).database or migration.head.database for entry in migration.changes]
    return tuple(dict.fromkeys((migration.head.database, *named)))


def compile_plan(migration: Migration, open_target: Callable[[str], Target]) -> Plan:
    """Compile a migration; raises Refused with every problem that the databases show."""
    databases = databases_of(migration)
    targets = {name: open_target(name) for name in databases}
    compiled: list[tuple[Entry, str, Compiled]] = []
    problems: list[Problem] = []
    for index, entry in enumerate(migration.changes):
        change = _change(entry)
        database = change.database or migration.head.database
        arrivals = _arrivals(migration, database, compiled)
        context = _context(migration, entry, index, targets[database], arrivals)
        try:
            compiled.append((entry, database, change.compile(context)))
        except Refused as refused:
            problems.extend(refused.problems)
    if problems:
        raise Refused.of(problems)
    steps = [*_own_steps(compiled), *_transitions(migration, compiled, targets)]
    legs = _legs(migration, steps)
    _refuse_doubled(compiled)
    _assert_distinct(steps)
    return Plan(
        migration=migration.id,
        title=migration.head.title,
        why=migration.head.why,
        owner=migration.head.owner,
        after=migration.head.after,
        spec_digest=migration.digest,
        databases=databases,
        schemas={name: target.schema for name, target in targets.items()},
        legs=legs,
        steps=tuple(sorted(steps, key=lambda step: (step.leg.order, databases.index(step.database)))),
        gates=tuple(_gates(migration, legs, targets, compiled)),
        hazards=tuple(_hazards(migration, compiled)),
        lineage=tuple(_lineage(compiled)),
        sizes=tuple(_sizes(steps, targets)),
        settings=_settings(migration),
    )


def _refuse_doubled(compiled: list[tuple[Entry, str, Compiled]]) -> None:
    """Two changes that do one and the same thing."""
    seen: dict[tuple[str, str], Entry] = {}
    for entry, database, result in compiled:
        for step in _with_undo(result.steps):
            before = seen.setdefault((database, step.id), entry)
            if before is not entry:
                raise Refused(
                    f"this does what the change in line {before.where.line} does",
                    where=entry.where,
                    why=f"both would {step.title}",
                    fix="say it once",
                )


def _assert_distinct(steps: Iterable[AnyStep]) -> None:
    """The ledger tells steps apart by id, those of an undo too."""
    seen: set[tuple[str, str]] = set()
    for step in _with_undo(steps):
        assert (step.database, step.id) not in seen, f"two steps are called {step.id}"
        seen.add((step.database, step.id))


def _with_undo(steps: Iterable[AnyStep]) -> Iterator[AnyStep]:
    for step in steps:
        yield step
        yield from _with_undo(step.undo)


def _change(entry: Entry) -> Change:
    assert isinstance(entry.body, Change)
    return entry.body


def _arrivals(
    migration: Migration, database: str, compiled: list[tuple[Entry, str, Compiled]]
) -> dict[Name, dict[str, Arrival]]:
    """The columns that the changes so far bring to the database, by table."""
    found: dict[Name, dict[str, Arrival]] = {}
    for _, where, result in compiled:
        if where != database:
            continue
        for table, column, type_ in result.adds:
            found.setdefault(table, {})[column] = Arrival(column, type_)
        for table, pair in result.pairs:
            for new in pair.new:
                physical = shadow_name(migration.id, table, new.name) if pair.swap else new.name
                found.setdefault(table, {})[new.name] = Arrival(physical, new.type)
    return found


def _context(
    migration: Migration, entry: Entry, index: int, target: Target, arrivals: Mapping[Name, Mapping[str, Arrival]]
) -> Context:
    path = tuple(dict.fromkeys((target.schema, "public")))
    return Context(
        migration=migration.id,
        head=migration.head,
        database=target.database,
        schema=target.schema,
        catalog=target.catalog,
        probe=ServerProbe(target.connection, path, entry.where),
        rules_leg=VALIDATE if migration.head.enforce == "validate" else stage_leg("tighten"),
        where=entry.where,
        index=index,
        arrivals=arrivals,
    )


def _own_steps(compiled: list[tuple[Entry, str, Compiled]]) -> list[AnyStep]:
    return [step for _, _, result in compiled for step in result.steps]


def _transitions(
    migration: Migration, compiled: list[tuple[Entry, str, Compiled]], targets: Mapping[str, Target]
) -> list[AnyStep]:
    """All pairs of one table make one transition: one trigger, one walk."""
    pairs: dict[tuple[str, Name], list[tuple[Entry, Pair]]] = {}
    for entry, database, result in compiled:
        for table, pair in result.pairs:
            pairs.setdefault((database, table), []).append((entry, pair))
    steps: list[AnyStep] = []
    for (database, name), found in pairs.items():
        table = targets[database].catalog.tables[name]
        _refuse_overlap(found)
        _refuse_gone(name, found)
        sides = Sides(
            migration=migration.id,
            database=database,
            table=table,
            pairs=tuple(pair for _, pair in found),
            search_path=tuple(dict.fromkeys((name.schema, targets[database].schema, "public"))),
            rules_leg=VALIDATE if migration.head.enforce == "validate" else stage_leg("tighten"),
            keep=_keep(migration),
            silent=_silent(migration, targets[database].catalog, table, found[0][0]),
        )
        steps.extend(transition(sides))
    return steps


def _refuse_overlap(found: list[tuple[Entry, Pair]]) -> None:
    seen: dict[str, Entry] = {}
    written: dict[str, Entry] = {}
    for entry, pair in found:
        for column in pair.down if pair.new else ():
            replaced = any(column in other.old and other.new for _, other in found if other is not pair)
            if replaced or column in written:
                raise Refused(
                    f"column {column} gets its value from two changes",
                    where=entry.where,
                    why="a row could not be told which of them the new version wrote last",
                    fix=f"give `down` for {column} in one change only",
                )
            written[column] = entry
        for column in (*pair.old, *(new.name for new in pair.new if not pair.swap)):
            if column in seen:
                raise Refused(
                    f"column {column} is changed twice in one migration",
                    where=entry.where,
                    fix="say all of it in one change, or make a second migration that comes `after` this one",
                )
            seen[column] = entry


def _refuse_gone(table: Name, found: list[tuple[Entry, Pair]]) -> None:
    """`down` is over the new row, which has no column that is renamed or dropped beside it."""
    gone = {name for _, pair in found if not pair.swap for name in pair.old}
    for entry, pair in found:
        read = {name for down in pair.down.values() for name in down.columns(table.name)}
        if lost := sorted(gone & read - {new.name for new in pair.new}):
            raise Refused(
                f"down reads {lost[0]}, which another change of this migration takes away",
                where=entry.where,
                why="from retire on the new row is without it, and every write of the new version would fail",
                fix="make it two migrations, one `after` the other",
            )


def _keep(migration: Migration) -> timedelta | None:
    """How long old values are kept: by the archive stage; 30 days where the spec does not say."""
    for stage in migration.stages:
        if stage.stage == "archive":
            return stage.options.keep or timedelta(days=30)
    return None


def _silent(migration: Migration, catalog: Catalog, table: Table, entry: Entry) -> bool:
    """User triggers must not fire for rows we fill: needs a right, and the spec must choose where that is missing."""
    fires = [t for t in table.triggers if "update" in t.events and t.enabled in ("O", "A")]
    if not fires or migration.head.backfill.fire_triggers:
        return False
    always = [t for t in fires if t.enabled == "A"]
    if always or not catalog.role.may_set_replication_role:
        raise Refused(
            f"trigger {fires[0].name} of {table.name} would fire for every row that is filled",
            where=entry.where,
            why="it is enabled ALWAYS"
            if always
            else f"role {catalog.role.name} may not set session_replication_role, which silences it",
            fix="say `backfill: {fire_triggers: true}` when it does no harm"
            + ("" if always else f", or GRANT SET ON PARAMETER session_replication_role TO {catalog.role.name}"),
        )
    return True


def _legs(migration: Migration, steps: list[AnyStep]) -> tuple[Leg, ...]:
    """The first three phases always; of contract the stages that do something or that the spec waits in."""
    named = [stage_leg(stage.stage) for stage in migration.stages if _says_something(stage)]
    found = [EXPAND, BACKFILL, VALIDATE, *named, *(step.leg for step in steps)]
    return tuple(sorted(dict.fromkeys(found), key=lambda leg: leg.order))


def _says_something(stage: StageSpec) -> bool:
    return bool(stage.options.gates.before or stage.options.gates.after or stage.options.gates.plain)


def _gates(
    migration: Migration,
    legs: tuple[Leg, ...],
    targets: Mapping[str, Target],
    compiled: list[tuple[Entry, str, Compiled]],
) -> list[GateSetAt]:
    points: dict[str, list[PlannedGate]] = {}

    def add(point: GatePoint | str, gate: PlannedGate) -> None:
        points.setdefault(str(point), []).append(gate)

    for point, entries in migration.gates.items():
        for entry in entries:
            body = entry.body.model_dump(mode="json", by_alias=True, exclude_defaults=True)
            add(_entered(point, legs), PlannedGate(kind=entry.kind, body=body))
    waits: dict[Stage, timedelta] = {
        stage.stage: stage.options.after for stage in migration.stages if stage.options.after
    }
    keyless = _in_place_archive(migration, targets, compiled)
    if keyless is not None:
        waits["drop"] = max(waits.get("drop", timedelta(0)), keyless)
    for stage, after in waits.items():
        if stage_leg(stage) in legs:
            add(f"before {stage}", PlannedGate(kind="soak", body={"soak": _seconds(after)}))
    window = migration.head.contract.window
    for leg in legs:
        if window is not None and leg.phase == "contract":
            body = {"window": window.model_dump(mode="json", by_alias=True)}
            add(f"before {leg}", PlannedGate(kind="window", body=body))
    return [GateSetAt(point=point, gates=tuple(gates)) for point, gates in points.items()]


def _entered(point: GatePoint, legs: tuple[Leg, ...]) -> str:
    """Gates of contract as a whole stand before its first stage, or after its last."""
    stages = [leg for leg in legs if leg.phase == "contract"]
    if point.phase != "contract" or point.stage is not None or not stages:
        return str(point)
    return f"{point.moment} {stages[0] if point.moment == 'before' else stages[-1]}"


def _in_place_archive(
    migration: Migration, targets: Mapping[str, Target], compiled: list[tuple[Entry, str, Compiled]]
) -> timedelta | None:
    """Without a key that stays the hidden column itself is the archive, there for as long as values are kept."""
    leaving: dict[tuple[str, Name], set[str]] = {}
    for _, database, result in compiled:
        for table, pair in result.pairs:
            leaving.setdefault((database, table), set()).update(pair.old)
    keys = {(database, table): targets[database].catalog.tables[table].key for database, table in leaving}
    keyless = any(gone and (not keys[place] or gone & set(keys[place])) for place, gone in leaving.items())
    return _keep(migration) if keyless else None


def _seconds(value: timedelta) -> str:
    return f"{int(value.total_seconds() * 1000)}ms"


def _hazards(migration: Migration, compiled: list[tuple[Entry, str, Compiled]]) -> list[PlannedHazard]:
    found = [
        PlannedHazard(code=h.code, risk=h.risk, change=entry.kind, what=h.what, fix=h.fix)
        for entry, _, result in compiled
        for h in result.hazards
    ]
    destroys = [pair for _, _, result in compiled for _, pair in result.pairs if pair.old]
    stages: set[Stage] = {stage.stage for stage in migration.stages}
    guarded = any(point.phase == "contract" for point in migration.gates) or any(
        stage.options.after for stage in migration.stages
    )
    if destroys and "drop" in stages and not guarded:
        found.append(
            PlannedHazard(
                code="unguarded-drop",
                risk="warning",
                change="contract",
                what="the old columns are dropped as soon as the new side is validated",
                fix="give contract a gate (soak, approval) or its stages an `after`",
            )
        )
    if destroys and "archive" not in stages:
        found.append(
            PlannedHazard(
                code="no-archive",
                risk="danger",
                change="contract",
                what="without an archive stage the old values cannot be restored once they are dropped",
                fix="add `archive: {keep: 30d}` to contract's stages",
            )
        )
    return found


def _lineage(compiled: list[tuple[Entry, str, Compiled]]) -> list[Lineage]:
    return [
        Lineage(database=database, table=str(m.table), column=m.column, sources=m.sources, expression=m.expression)
        for _, database, result in compiled
        for m in result.maps
    ]


def _sizes(steps: list[AnyStep], targets: Mapping[str, Target]) -> list[Size]:
    touched = {(step.database, lock.relation) for step in steps for lock in step.locks}
    sizes: list[Size] = []
    for database, relation in sorted(touched, key=str):
        table = targets[database].catalog.tables.get(Name(relation.schema_name, relation.name))
        if table is not None:
            sizes.append(
                Size(
                    database=database,
                    relation=Relation(schema_name=relation.schema_name, name=relation.name),
                    rows=table.rows,
                    bytes=table.size,
                )
            )
    return sizes


def _settings(migration: Migration) -> Settings:
    backfill, locks = migration.head.backfill, migration.head.locks
    lag = backfill.pause_when.replica_lag
    return Settings(
        lock_timeout=locks.timeout.total_seconds(),
        lock_budget=locks.budget.total_seconds(),
        batch_target=backfill.target.total_seconds(),
        workers=backfill.workers,
        max_conflicts=backfill.max_conflicts,
        pause_replica_lag=lag.total_seconds() if lag is not None else None,
        pause_blocked_sessions=backfill.pause_when.blocked_sessions,
        pause_wal_rate=backfill.pause_when.wal_rate,
    )
