"""What a change makes, as the catalog will describe it: for the changes after it, which may build on it."""

from __future__ import annotations

from collections.abc import Iterable

from crossfade.catalog.model import Column, Constraint, ConstraintKind, Index, Name, Table
from crossfade.changes._context import Context


def empty_table(
    context: Context,
    name: Name,
    columns: Iterable[Column],
    constraints: Iterable[Constraint],
    *,
    comment: str | None = None,
) -> Table:
    """A table without rows, with the indexes behind its keys."""
    held = tuple(constraints)
    return Table(
        name=name,
        oid=0,
        kind="table",
        owner=context.catalog.role.name,
        columns=tuple(columns),
        constraints=held,
        indexes=tuple(key_index(found) for found in held if found.kind in ("primary_key", "unique")),
        triggers=(),
        policies=(),
        dependents=(),
        row_security=False,
        force_row_security=False,
        grants=(),
        replica_identity="default",
        storage_parameters=(),
        partition_key=None,
        partition_of=None,
        partition_bound=None,
        comment=comment,
        size=0,
        rows=0,
        blocks=0,
        unlogged=False,
    )


def plain_column(
    name: str,
    type_: str,
    *,
    position: int,
    not_null: bool = False,
    default: str | None = None,
    identity: bool = False,
    comment: str | None = None,
) -> Column:
    """A column without settings of its own. type_: as format_type spells it."""
    return Column(
        name=name,
        position=position,
        type=type_,
        type_name=_type_name(type_),
        not_null=not_null,
        default=default,
        default_volatile=False,
        identity="by default" if identity else None,
        generated=None,
        collation=None,
        comment=comment,
        grants=(),
        storage=None,
        statistics_target=None,
    )


def built_index(
    name: str,
    columns: Iterable[str],
    definition: str,
    *,
    method: str = "btree",
    reads: Iterable[str] = (),
    unique: bool = False,
    primary: bool = False,
    constraint: str | None = None,
    predicate: str | None = None,
) -> Index:
    """columns: its keys, '' for an expression. reads: what it reads beside them."""
    keys = tuple(columns)
    return Index(
        name=name,
        definition=definition,
        method=method,
        columns=keys,
        reads=frozenset({*keys, *reads} - {""}),
        unique=unique,
        primary=primary,
        valid=True,
        ready=True,
        replica_identity=False,
        constraint=constraint,
        size=0,
        predicate=predicate,
    )


def made_constraint(
    name: str,
    kind: ConstraintKind,
    columns: Iterable[str],
    definition: str,
    *,
    deferrable: bool = False,
    references: Name | None = None,
    referenced_columns: tuple[str, ...] = (),
) -> Constraint:
    """definition: as pg_get_constraintdef gives it, or nearly so."""
    return Constraint(
        name=name,
        kind=kind,
        columns=tuple(columns),
        definition=definition,
        validated=True,
        deferrable=deferrable,
        index=name if kind in ("primary_key", "unique", "exclude") else None,
        references=references,
        referenced_columns=referenced_columns,
    )


def key_index(constraint: Constraint) -> Index:
    """The index behind a primary key or a unique constraint."""
    return built_index(
        constraint.name,
        constraint.columns,
        constraint.definition,
        unique=True,
        primary=constraint.kind == "primary_key",
        constraint=constraint.name,
    )


def _type_name(type_: str) -> Name:
    schema, dot, name = type_.partition("(")[0].strip().rpartition(".")
    return Name(schema, name) if dot else Name("pg_catalog", name)
