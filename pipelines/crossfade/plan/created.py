"""The tables that changes of a migration make, as they will be: what later changes of it may name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from crossfade.catalog.model import Name, Table
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
