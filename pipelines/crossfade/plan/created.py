"""What changes of a migration make, as it will be: what later changes of it may name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from crossfade.catalog.model import Catalog, Composite, Domain, Enum, Name, Table
from crossfade.changes import plain_column
from crossfade.plan.compiled import CompiledChange


def created_tables(database: str, compiled: Sequence[CompiledChange]) -> dict[Name, Table]:
    """Those of the database, each with the columns, indexes and constraints that the changes given bring to it."""
    found: dict[Name, Table] = {}
    for result in (change.result for change in compiled if change.database == database):
        found.update((table.name, table) for table in result.creates)
        for name, column, type_ in result.adds:
            if table := found.get(name):
                added = plain_column(column, type_, position=len(table.columns) + 1)
                found[name] = replace(table, columns=(*table.columns, added))
        for name, index in result.indexes:
            if table := found.get(name):
                found[name] = replace(table, indexes=(*table.indexes, index))
        for name, constraint in result.constraints:
            if table := found.get(name):
                found[name] = replace(table, constraints=(*table.constraints, constraint))
    return found


def with_made(catalog: Catalog, database: str, compiled: Sequence[CompiledChange]) -> Catalog:
    """The catalog with the tables, policies and types that the changes given bring to the database."""
    tables = {**catalog.tables, **created_tables(database, compiled)}
    types: list[Enum | Domain | Composite] = []
    for result in (change.result for change in compiled if change.database == database):
        types.extend(result.types)
        for name, policy in result.policies:
            tables[name] = replace(tables[name], policies=(*tables[name].policies, policy))
    return replace(
        catalog,
        tables=tables,
        types=catalog.types | {type_.name for type_ in types},
        enums={**catalog.enums, **{type_.name: type_ for type_ in types if isinstance(type_, Enum)}},
        domains={**catalog.domains, **{type_.name: type_ for type_ in types if isinstance(type_, Domain)}},
        composites={**catalog.composites, **{type_.name: type_ for type_ in types if isinstance(type_, Composite)}},
    )
