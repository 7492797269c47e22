"""The columns that a migration brings to each table over its whole way, its own among them, and who is hurt by more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from crossfade.catalog.model import Catalog, Name
from crossfade.changes import row_use
from crossfade.plan.compiled import CompiledChange
from crossfade.plan.created import created_tables
from crossfade.plan.plan import PlannedHazard
from crossfade.steps.rows import Sides


@dataclass(frozen=True)
class Added:
    """What one table gets.

    columns: by the names they bear at some moment, with their types.
    retyped: names that are there already, and the types they have after cutover.
    widens: from expand on the table has more columns than before.
    hides: columns of now get other names, which a column list could not keep from being sent.
    """

    columns: Mapping[str, str]
    retyped: Mapping[str, str]
    widens: bool
    hides: bool


def added_to_tables(
    database: str, compiled: Sequence[CompiledChange], transitions: Sequence[Sides]
) -> dict[Name, Added]:
    """By table of the database; those that the migration makes are new as a whole."""
    plain: dict[Name, dict[str, str]] = {}
    created = created_tables(database, compiled)
    for change in compiled:
        for table, column, type_ in change.result.adds if change.database == database else ():
            if table not in created:
                plain.setdefault(table, {})[column] = type_
    found = {table: Added(columns, {}, widens=True, hides=False) for table, columns in plain.items()}
    for change in compiled:
        for table, _, new, type_ in change.result.renames if change.database == database else ():
            before = found.get(table, Added({}, {}, widens=False, hides=True))
            found[table] = replace(before, columns={**before.columns, new: type_}, hides=True)
    for sides in transitions:
        if sides.database == database:
            found[sides.table.name] = _of_transition(sides, plain.get(sides.table.name, {}))
    return found


def _of_transition(sides: Sides, plain: Mapping[str, str]) -> Added:
    columns = {**plain, **{sides.physical(new): new.type for new in sides.arriving}}
    columns |= {sides.hidden(old): sides.old_column(old).type for old in sides.leaving}
    if sides.synced:
        columns[sides.marker] = "boolean"
    before = sides.table.by_name
    swapped = [new for pair in sides.pairs if pair.swap for new in pair.new]
    columns |= {new.name: new.type for new in swapped if new.name not in before}
    return Added(
        columns,
        {new.name: new.type for new in swapped if new.name in before and new.type != before[new.name].type},
        widens=bool(plain or sides.arriving or sides.synced),
        hides=bool(sides.leaving),
    )


def position_hazards(
    catalogs: Mapping[str, Catalog], compiled: Sequence[CompiledChange], transitions: Sequence[Sides]
) -> Iterator[PlannedHazard]:
    """Statements that take a table's columns by their number rather than by name."""
    for database in catalogs:
        for table, added in added_to_tables(database, compiled, transitions).items():
            if added.widens:
                yield PlannedHazard(
                    code="columns-by-position",
                    risk="warning",
                    change=database,
                    what=f"COPY of {table} without columns, and INSERT INTO ... SELECT * from it, fail from expand on:"
                    " it has more columns then, which stand last. An INSERT into it without columns goes on working"
                    + (" until old columns get other names, and would go astray then" if added.hides else ""),
                    fix="name the columns in COPY, INSERT and SELECT",
                )
                yield from _copying_triggers(catalogs[database], database, table)


def _copying_triggers(catalog: Catalog, database: str, table: Name) -> Iterator[PlannedHazard]:
    """Triggers that put the row somewhere by the order of its columns, as those that write a log often do."""
    for part in catalog.tree(table) if table in catalog.tables else ():
        for trigger in part.user_triggers:
            if trigger.language == "plpgsql" and not trigger.inherited and row_use(trigger.body).expands:
                yield PlannedHazard(
                    code="row-by-position",
                    risk="danger",
                    change=database,
                    what=f"trigger {trigger.name} of {part.name} takes the row's columns by position in"
                    f" {trigger.function}: from expand on there are more, and what has no room for them fails, the"
                    " write with it",
                    fix="name the columns (new.id, ...) in place of new.* and old.*, or keep to_jsonb(new)",
                )
