"""An index that a change names: found, and what it belongs to."""

from __future__ import annotations

from crossfade.catalog.model import Index, Table
from crossfade.changes._context import Context


def named_index(context: Context, name: str) -> tuple[Table, Index]:
    """The index of that name in the schema of the database, or `schema.name`, and its table."""
    wanted = context.name(name)
    here = (table for table in context.catalog.tables.values() if table.name.schema == wanted.schema)
    found = next(((table, index) for table in here for index in table.indexes if index.name == wanted.name), None)
    if found is None:
        where = f"schema {wanted.schema} of {context.database}"
        context.refuse(f"index {wanted.name} does not exist in {where}", at=("index",))
    return found


def refuse_part(context: Context, index: Index, done: str) -> None:
    """done: what cannot be done to one part of a partitioned index alone."""
    if index.partition_of is not None:
        context.refuse(
            f"index {index.name} is a part of the partitioned index {index.partition_of}",
            why=f"PostgreSQL {done} with that one only",
            fix=f"say index: {index.partition_of.name}",
            at=("index",),
        )
