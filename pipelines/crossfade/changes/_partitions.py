"""What a partitioned table asks of the indexes and rules that are to hold over all of its partitions."""

from __future__ import annotations

from collections.abc import Collection

import postgast

from crossfade.catalog.model import Table
from crossfade.changes._context import Context, Path


def refuse_foreign_partitions(context: Context, table: Table) -> None:
    """Another server's table takes neither an index nor a foreign key."""
    for part in context.catalog.tree(table.name):
        if part.kind == "foreign":
            context.refuse(
                f"partition {part.name} of {table.name} is a foreign table",
                why="PostgreSQL makes neither an index nor a foreign key on it, and the whole would never be complete",
                fix="detach it first, or give each of the other partitions its own with changes of their own",
            )


def refuse_unkeyed(context: Context, table: Table, columns: Collection[str], at: Path) -> None:
    """A unique rule over partitions holds within each alone, so rows that are equal must be of one partition."""
    for part in context.catalog.tree(table.name):
        for column in _partition_columns(part.partition_key) if part.partition_key else ():
            if column is None:
                context.refuse(
                    f"{part.name} is partitioned by an expression, {part.partition_key}",
                    why="PostgreSQL keeps no unique rule over such a table: each partition knows its own rows only",
                    fix="add it to each partition by itself, where that is enough",
                    at=at,
                )
            if column not in columns:
                context.refuse(
                    f"{part.name} is partitioned by {column}, which is not in the key",
                    why="PostgreSQL keeps a unique rule within each partition, so its key must tell the partition",
                    fix=f"add {column} to the key, or add the rule to each partition by itself, where that is enough",
                    at=at,
                )


def _partition_columns(key: str) -> list[str | None]:
    """None for an expression."""
    parsed = postgast.parse(f"CREATE TABLE t (c int) PARTITION BY {key}").stmts[0].stmt.create_stmt
    return [part.partition_elem.name or None for part in parsed.partspec.part_params]
