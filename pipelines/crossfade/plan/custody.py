"""Rows that must stay where they are, and old values of people that must not be kept for long: what a plan refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from crossfade.catalog.model import Name
from crossfade.changes import Refused
from crossfade.errors import Problem
from crossfade.gates.approval import ApprovalGate
from crossfade.plan.compiled import CompiledChange
from crossfade.plan.contract import kept_for
from crossfade.plan.target import Target
from crossfade.spec.custody import Leaving, leavings
from crossfade.spec.databases import Database
from crossfade.spec.model import GatePoint, Migration
from crossfade.spec.values import format_duration

_DATABASES = "docs/language.md#where-rows-may-go"


def refuse_kept_long(migration: Migration, compiled: Sequence[CompiledChange], targets: Mapping[str, Target]) -> None:
    """Old values of personal columns are kept for as long as the spec says, and no longer than databases.yaml lets."""
    problems: list[Problem] = []
    for change in compiled:
        said = targets[change.database].said
        if said is None or said.personal is None:
            continue
        kept = [
            f"{table.name}.{column}"
            for table, columns in _kept(migration, change, targets[change.database])
            for column in columns
            if said.is_personal(table.schema, table.name, column)
        ]
        if kept:
            problems += _too_long(migration, change, said, ", ".join(dict.fromkeys(kept)))
    if problems:
        raise Refused.of(problems)


def _kept(migration: Migration, change: CompiledChange, target: Target) -> Iterator[tuple[Name, tuple[str, ...]]]:
    """Columns whose old values the change puts aside, or hides until they are dropped; keys tell of which row."""
    tables = target.catalog.tables
    yield from change.result.keeps
    if kept_for(migration) is not None:
        for table, pair in change.result.pairs:
            if pair.old and pair.fits is None:
                yield table, (*tables[table].key, *pair.old)
        for table in change.result.drops:
            if table in tables:
                yield table, tuple(tables[table].by_name)


def _too_long(migration: Migration, change: CompiledChange, said: Database, columns: str) -> Iterator[Problem]:
    place = next((n for n, each in enumerate(migration.stages) if each.stage == "archive" and each.options.keep), None)
    keep = migration.head.contract.keep
    assert said.personal is not None
    longest = said.personal.keep_at_most
    why = f"databases.yaml says that {columns} of {said.name} is personal: docs/language.md#personal"
    if place is None:
        yield Problem(
            f"old values of {columns} would be kept, and the spec does not say for how long",
            change.entry.where,
            why,
            "say it in contract's stages: `- archive: {keep: 14d}`",
        )
    elif longest is not None and keep > longest:
        yield Problem(
            f"old values of {columns} would be kept for {format_duration(keep)}",
            migration.position("contract", "stages", place, "archive", "keep"),
            f"{why}, and kept for {format_duration(longest)} at most",
            f"write `keep: {format_duration(longest)}` or less",
        )


def refuse_leaving(
    migration: Migration, compiled: Sequence[CompiledChange], said_of: Callable[[str], Database | None]
) -> None:
    """Rows that a change carries to another database may go there, or an approval before expand says that they may.

    said_of: what databases.yaml says of a database.
    """
    allowed = _allowed(migration)
    problems: list[Problem] = []
    for change in compiled:
        ways = ((each.of_database, each.in_database or change.database) for each in change.result.maps)
        for source, goal in dict.fromkeys(ways):
            here, there = said_of(source) if source is not None else None, said_of(goal)
            if here is None or there is None:
                continue
            problems += (
                Problem(
                    f"rows of {source} would go to {goal}: {why}",
                    change.entry.where,
                    f"databases.yaml says so: {_DATABASES}",
                    f"have it approved: `- approval: {{from: ROLE, lets: [{kind}]}}` among the gates of expand",
                )
                for kind, why in leavings(here, there)
                if kind not in allowed
            )
    if problems:
        raise Refused.of(dict.fromkeys(problems))


def _allowed(migration: Migration) -> frozenset[Leaving]:
    """What approvals allow that stand before anything is done."""
    gates = migration.gates.get(GatePoint("expand", "before"), ())
    return frozenset(kind for gate in gates if isinstance(gate.body, ApprovalGate) for kind in gate.body.approval.lets)
