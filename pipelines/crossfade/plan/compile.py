"""From a spec and the databases' catalogs to a plan. Reads only; the same input gives the same plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from crossfade.catalog.model import Catalog, Name
from crossfade.changes import Arrival, Change, Context, Refused, arrivals_of, is_silent
from crossfade.errors import Problem
from crossfade.plan.added import position_hazards
from crossfade.plan.clashes import (
    assert_distinct,
    needed_columns,
    refuse_doubled,
    refuse_lost,
    refuse_mapped_anew,
    refuse_overlap,
    refuse_taken,
    taken_columns,
)
from crossfade.plan.compiled import CompiledChange
from crossfade.plan.contract import contract_hazards, is_reached, kept_for, refuse_unfinished, refuse_untried
from crossfade.plan.created import created_tables, with_made
from crossfade.plan.custody import refuse_kept_long, refuse_leaving
from crossfade.plan.deployment import applications_of, with_deployed
from crossfade.plan.following import with_following
from crossfade.plan.foresight import foresee_gates
from crossfade.plan.gates import gates_of, legs_of, unasked_hazards
from crossfade.plan.isolation import isolation_hazards
from crossfade.plan.plan import Lineage, Plan, PlannedHazard, Settings, Size
from crossfade.plan.probe import ServerProbe
from crossfade.plan.publications import publication_hazards, refuse_unidentified
from crossfade.plan.rights import ending_hazards, rights_hazards
from crossfade.plan.target import Target
from crossfade.plan.types_there import types_there
from crossfade.plan.unindexed import unindexed_hazards
from crossfade.plan.versions import schemas_of, told_of, version_hazards, versions_of
from crossfade.spec.databases import search_path
from crossfade.spec.model import Entry, Migration
from crossfade.spec.settings import Settings as ProjectSettings
from crossfade.steps.rows import Pair, Sides
from crossfade.steps.step import VALIDATE, AnyStep, Relation, stage_leg
from crossfade.steps.transition import transitions


def databases_of(migration: Migration) -> tuple[str, ...]:
    """The migration's own database first, then those its changes name."""
    changes = [_change(entry) for entry in migration.changes]
    named = [
        name for change in changes for name in (change.database or migration.head.database, *change.databases_beside)
    ]
    return tuple(dict.fromkeys((migration.head.database, *named)))


def compile_plan(
    migration: Migration, open_target: Callable[[str], Target], root: Path, settings: ProjectSettings
) -> Plan:
    """Compile a migration; raises Refused with every problem that the databases show.

    open_target: raises KeyError for a name that databases.yaml does not give. root, settings: of the project.
    """
    with ExitStack() as known:
        return _compiled(migration, open_target, root, settings, known)


def _compiled(
    migration: Migration,
    open_target: Callable[[str], Target],
    root: Path,
    settings: ProjectSettings,
    known: ExitStack,
) -> Plan:
    """known: keeps what PostgreSQL has to know of the changes so far."""
    databases = databases_of(migration)
    targets = {name: open_target(name) for name in databases}
    catalogs = {name: target.catalog for name, target in targets.items()}
    compiled: list[CompiledChange] = []
    there = Counter[str]()  # by database: of how many changes PostgreSQL knows the types by now
    problems: list[Problem] = []
    for index, entry in enumerate(migration.changes):
        change = _change(entry)
        database = change.database or migration.head.database
        before = [earlier for earlier in compiled if earlier.database == database]
        context = _context(
            migration,
            entry,
            index,
            targets[database],
            before,
            {name: _context(migration, entry, index, targets[name], [], {}) for name in change.databases_beside},
        )
        try:
            for made in before[there[database] :]:
                there[database] += 1
                known.enter_context(types_there(targets[database], made.result.types, made.entry.where))
            compiled.append(CompiledChange(entry, database, change.compile(context)))
        except Refused as refused:
            problems.extend(refused.problems)
    if problems:
        raise Refused.of(problems)
    refuse_doubled(compiled)
    refuse_mapped_anew(compiled, catalogs)
    refuse_lost(compiled, catalogs)
    refuse_taken(compiled)
    refuse_unfinished(migration, compiled)
    refuse_leaving(migration, compiled, lambda name: open_target(name).said)
    refuse_kept_long(migration, compiled, targets)
    sides = with_following(migration, _sides(migration, compiled, targets), catalogs)
    refuse_untried(migration, compiled, sides)
    versions = versions_of(migration, compiled, targets, sides)
    whole = [
        *_own_steps(compiled),
        *(step for each in versions for step in each.old_closed()),
        *transitions(sides),
        *(step for each in versions for step in (each.opened(), *each.new_closed())),
    ]
    assert_distinct(whole)
    steps = [step for step in whole if is_reached(migration, step)]
    left_out = [step for step in whole if not is_reached(migration, step)]
    refuse_unidentified(migration, catalogs, steps)
    legs = legs_of(migration, steps)
    applications = applications_of(migration, databases, steps, compiled)
    gates = gates_of(migration, legs, catalogs, compiled)
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
        gates=with_deployed(migration, applications, legs, steps, compiled, gates),
        hazards=(
            *_hazards_of_changes(compiled),
            *unindexed_hazards(catalogs, compiled),
            *(h for name, catalog in catalogs.items() for h in rights_hazards(name, catalog, steps)),
            *(h for name, catalog in catalogs.items() for h in ending_hazards(migration, name, catalog)),
            *isolation_hazards(steps),
            *version_hazards(versions, catalogs),
            *position_hazards(catalogs, compiled, sides),
            *publication_hazards(migration, catalogs, compiled, sides),
            *contract_hazards(migration, compiled, sides, left_out),
            *unasked_hazards(migration, legs),
            *foresee_gates(migration, legs, compiled, open_target, root, settings),
        ),
        lineage=tuple(_lineage(compiled)),
        sizes=tuple(_sizes(steps, targets)),
        settings=_settings(migration),
        versions=told_of(versions),
        takes=taken_columns(compiled),
        needs=needed_columns(compiled, catalogs),
        override=_override(migration),
        applications=applications,
    )


def _override(migration: Migration) -> dict[str, Any] | None:
    rule = migration.head.override
    return rule.model_dump(mode="json", by_alias=True) if rule is not None else None


def _change(entry: Entry) -> Change:
    assert isinstance(entry.body, Change)
    return entry.body


def _arrivals(migration: Migration, before: list[CompiledChange], catalog: Catalog) -> dict[Name, dict[str, Arrival]]:
    """The columns that changes bring to tables that are there, by table."""
    found: dict[Name, dict[str, Arrival]] = {}
    for change in before:
        for table, columns in arrivals_of(migration.id, catalog, change.result).items():
            found.setdefault(table, {}).update(columns)
    return found


def _context(
    migration: Migration,
    entry: Entry,
    index: int,
    target: Target,
    before: list[CompiledChange],
    elsewhere: Mapping[str, Context],
) -> Context:
    """before: the changes above it, on the same database."""
    return Context(
        migration=migration.id,
        head=migration.head,
        database=target.database,
        schema=target.schema,
        catalog=with_made(target.catalog, target.database, before),
        probe=ServerProbe(target.connection, search_path(target.schema), entry.where),
        rules_leg=VALIDATE if migration.head.enforce == "validate" else stage_leg("tighten"),
        brownout=migration.brownout,
        where=entry.where,
        index=index,
        created=created_tables(target.database, before).keys(),
        arrivals=_arrivals(migration, before, target.catalog),
        made_types=frozenset(type_.name for change in before for type_ in change.result.types),
        dropped=frozenset(table for change in before for table in change.result.drops),
        shown={name: columns for change in before for name, columns in change.result.shows},
        defined=frozenset(signature for change in before for signature in change.result.defines),
        rewritten=frozenset(
            view
            for other in map(_change, migration.changes)
            if (other.database or migration.head.database) == target.database
            for view in other.rewrites
        ),
        places={
            path[3:]: where for path, where in migration.where.items() if path[:3] == ("changes", index, entry.kind)
        },
        elsewhere=elsewhere,
    )


def _own_steps(compiled: list[CompiledChange]) -> list[AnyStep]:
    return [step for change in compiled for step in change.result.steps]


def _sides(migration: Migration, compiled: list[CompiledChange], targets: Mapping[str, Target]) -> list[Sides]:
    """All pairs of one table make one transition: one trigger, one walk."""
    pairs: dict[tuple[str, Name], list[tuple[Entry, Pair]]] = {}
    for change in compiled:
        for table, pair in change.result.pairs:
            pairs.setdefault((change.database, table), []).append((change.entry, pair))
    made: list[Sides] = []
    schemas = schemas_of(migration, compiled)
    for (database, name), found in pairs.items():
        table = targets[database].catalog.tables[name]
        refuse_overlap(name, found)
        made.append(
            Sides(
                migration=migration.id,
                database=database,
                table=table,
                pairs=tuple(pair for _, pair in found),
                search_path=search_path(targets[database].schema),
                rules_leg=VALIDATE if migration.head.enforce == "validate" else stage_leg("tighten"),
                keep=kept_for(migration),
                brownout=migration.brownout,
                counts_writes=migration.head.contract.count_writes,
                silent=is_silent(
                    targets[database].catalog, migration.head, name, where=found[0][0].where, done="filled"
                ),
                schemas=schemas.get((database, name)),
                mirrors=tuple(
                    mirror
                    for change in compiled
                    for mirror in change.result.mirrors
                    if change.database == database and mirror.left.table == name
                ),
            )
        )
    return made


def _hazards_of_changes(compiled: list[CompiledChange]) -> Iterable[PlannedHazard]:
    """Each once, though several changes of a table may bring it."""
    return dict.fromkeys(
        PlannedHazard(code=h.code, risk=h.risk, change=change.entry.kind, what=h.what, fix=h.fix)
        for change in compiled
        for h in change.result.hazards
    )


def _lineage(compiled: list[CompiledChange]) -> list[Lineage]:
    return [
        Lineage(
            database=m.in_database or change.database,
            table=str(m.table),
            column=m.column,
            sources=m.sources,
            expression=m.expression,
            of=str(m.of) if m.of is not None else None,
            of_database=m.of_database,
        )
        for change in compiled
        for m in change.result.maps
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
    age = backfill.pause_when.transaction_age
    idle = locks.end_idle_blockers
    return Settings(
        lock_timeout=locks.timeout.total_seconds(),
        lock_budget=locks.budget.total_seconds(),
        batch_target=backfill.target.total_seconds(),
        workers=backfill.workers,
        max_conflicts=backfill.max_conflicts,
        pause_replica_lag=lag.total_seconds() if lag is not None else None,
        pause_blocked_sessions=backfill.pause_when.blocked_sessions,
        pause_wal_rate=backfill.pause_when.wal_rate,
        pause_transaction_age=age.total_seconds() if age is not None else None,
        end_idle_blockers=idle.total_seconds() if idle is not None else None,
        nice_ratio=backfill.nice_ratio,
    )
