"""Columns of the tables that a migration is about, as Dagster shows them: as they are now, and what makes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import psycopg
from dagster import MetadataValue, TableColumn, TableColumnConstraints, TableColumnDep, TableColumnLineage, TableSchema

from crossfade.catalog.model import OWN_PREFIX
from crossfade.execute import reading
from crossfade.orchestrate.keys import leg_key
from crossfade.plan import Plan
from crossfade.spec import Database, Migration
from crossfade.steps.step import EXPAND, Leg

_COLUMNS = """
SELECT n.nspname || '.' || c.relname || '.' || a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
       NOT a.attnotnull, pg_catalog.col_description(c.oid, a.attnum)
  FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE n.nspname || '.' || c.relname = ANY (%s) AND a.attnum > 0 AND NOT a.attisdropped
   AND NOT pg_catalog.starts_with(a.attname::text, %s)
 ORDER BY n.nspname, c.relname, a.attnum"""


def columns(databases: Mapping[str, Database], migration: Migration, plan: Plan, leg: Leg) -> dict[str, MetadataValue]:
    """Metadata of the leg's asset, read from the databases now; a column is told as database.schema.table.column."""
    shown = [column for name in plan.databases for column in _columns(databases[name], _tables(plan, name))]
    found: dict[str, MetadataValue] = {"dagster/column_schema": MetadataValue.table_schema(TableSchema(shown))}
    if leg != EXPAND and (made := _made_from(migration, plan, {column.name for column in shown})):
        found["dagster/column_lineage"] = MetadataValue.column_lineage(TableColumnLineage(made))
    return found


def _tables(plan: Plan, database: str) -> Sequence[str]:
    sized = [str(size.relation) for size in plan.sizes if size.database == database]
    filled = [each.table for each in plan.lineage if each.database == database]
    return [*dict.fromkeys([*sized, *filled])]


def _columns(database: Database, tables: Sequence[str]) -> Iterator[TableColumn]:
    if not tables:
        return
    with reading(database, "crossfade columns") as connection:
        for name, type_name, nullable, comment in _read(connection, tables):
            constraints = TableColumnConstraints(nullable=nullable)
            yield TableColumn(f"{database.name}.{name}", type_name, comment, constraints)


def _read(connection: psycopg.Connection[Any], tables: Sequence[str]) -> list[tuple[str, str, bool, str | None]]:
    return connection.execute(_COLUMNS, (list(tables), OWN_PREFIX)).fetchall()


def _made_from(migration: Migration, plan: Plan, known: set[str]) -> dict[str, list[TableColumnDep]]:
    """Of columns that are there: the columns that expand found, which they are filled from."""
    before = leg_key(migration, EXPAND)
    made: dict[str, list[TableColumnDep]] = {}
    for each in plan.lineage:
        column = f"{each.database}.{each.table}.{each.column}"
        if column in known:
            sources = [
                f"{each.of_database or each.database}.{each.of or each.table}.{source}" for source in each.sources
            ]
            made.setdefault(column, []).extend(TableColumnDep(before, source) for source in sources)
    return made
