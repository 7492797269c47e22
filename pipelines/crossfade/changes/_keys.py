"""A unique rule or a primary key of an add_constraint, as what is done on the database."""

from __future__ import annotations

from collections.abc import Sequence

from crossfade.catalog.model import Constraint, Table
from crossfade.changes._change import Hazard
from crossfade.changes._context import Context
from crossfade.changes._partitions import refuse_foreign_partitions, refuse_unkeyed
from crossfade.changes._parts import made_constraint
from crossfade.steps.keys import Key


def key_of(
    context: Context,
    table: Table,
    columns: Sequence[str],
    *,
    primary: bool,
    nulls_distinct: bool,
    include: Sequence[str],
    deferral: str,
) -> Key:
    """Over the columns as they are called at the moment; refuses a key that PostgreSQL would not make."""
    field = "primary_key" if primary else "unique"
    row = context.new_row_types(table)
    physical = tuple(context.physical(table, column, field) for column in columns)
    for index, column in enumerate(columns):
        with context.at(field, index):
            context.probe.key(row[column])
    if not nulls_distinct:
        context.refuse_old_server()
    if primary:
        _refuse_second(context, table)
    if table.kind == "partitioned":
        refuse_foreign_partitions(context, table)
        refuse_unkeyed(context, table, columns, (field,))
    return Key(
        physical,
        primary=primary,
        nulls_distinct=nulls_distinct,
        include=tuple(context.physical(table, column, "include") for column in include),
        nullable=tuple(
            name
            for column, name in zip(columns, physical, strict=True)
            if primary and not (name == column and column in table.by_name and table.by_name[column].not_null)
        ),
        deferral=deferral,
    )


def made_key(name: str, columns: Sequence[str], key: Key) -> Constraint:
    """The constraint as the catalog will have it, over the author's names."""
    kind = "primary_key" if key.primary else "unique"
    return made_constraint(name, kind, columns, key.clause.as_string(None), deferrable=bool(key.deferral))


def at_once_while_built(table: Table, columns: Sequence[str]) -> Hazard:
    """PostgreSQL builds no index concurrently that is checked later."""
    return Hazard(
        "not-deferred-while-built",
        "warning",
        f"while the index over {table.name} ({', '.join(columns)}) is built, two rows may not share a value even for a"
        " moment: a statement or transaction that lets them, and relies on the constraint being deferrable, fails until"
        " it is one",
        "let no such statement run before validate has ended",
    )


def _refuse_second(context: Context, table: Table) -> None:
    if held := next((found for found in table.constraints if found.kind == "primary_key"), None):
        context.refuse(
            f"{table.name} has a primary key, {held.name} ({', '.join(held.columns)})",
            why="a table has one",
            fix="drop_constraint it in a migration that comes before, or add a unique rule instead",
            at=("primary_key",),
        )
