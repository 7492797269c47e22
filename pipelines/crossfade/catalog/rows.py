"""From one row of a query to one value; what a row holds is in queries/<name>.sql."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from crossfade.catalog.objects import (
    Composite,
    Domain,
    Enum,
    ForeignKey,
    Function,
    Replica,
    Role,
    Sequence,
    Server,
    Use,
)
from crossfade.catalog.parts import (
    Column,
    Compression,
    Constraint,
    ConstraintKind,
    Generated,
    Identity,
    Index,
    Name,
    Policy,
    Publication,
    Rule,
    Statistics,
    Trigger,
)
from crossfade.catalog.volatility import is_volatile

Row = Any  # a named tuple: the columns of its query
Rows = Mapping[str, list[Row]]  # by the name of the query
ColumnNames = Mapping[int, Mapping[int, str]]  # by the relation's oid, then by position (attnum)

_CONSTRAINT: Mapping[str, ConstraintKind] = {
    "p": "primary_key",
    "u": "unique",
    "c": "check",
    "f": "foreign_key",
    "x": "exclude",
    "n": "not_null",
    "t": "trigger",
}
_IDENTITY: Mapping[str | None, Identity | None] = {None: None, "a": "always", "d": "by default"}
_GENERATED: Mapping[str | None, Generated | None] = {None: None, "s": "stored", "v": "virtual"}
_COMPRESSION: Mapping[str | None, Compression | None] = {None: None, "p": "pglz", "l": "lz4"}
_COMMAND = {"*": "all", "r": "select", "a": "insert", "w": "update", "d": "delete"}
_ROW, _BEFORE = 1, 2  # bits of pg_trigger.tgtype
_EVENT = {4: "insert", 8: "delete", 16: "update", 32: "truncate"}


def name(row: Row) -> Name:
    """The name of what the row is about."""
    return Name(row.schema, row.name)


def name_or_none(schema: str | None, name: str | None) -> Name | None:
    """The name of what there may not be."""
    return None if schema is None or name is None else Name(schema, name)


def named(positions: Iterable[int], at: Mapping[int, str]) -> tuple[str, ...]:
    """The columns at some positions; 0 (an expression, the whole row) and system columns have no name."""
    return tuple(at[position] for position in positions if position in at)


def grants(row: Row) -> tuple[str, ...]:
    """Access control items, in the order they were given, which is that of pg_dump."""
    return tuple(row.grants or ())


def column(row: Row, volatile: frozenset[Name]) -> Column:
    """volatile: the names of volatile functions."""
    return Column(
        name=row.name,
        position=row.position,
        type=row.type,
        type_name=Name(row.type_schema, row.type_name),
        not_null=row.not_null,
        default=row.default,
        default_volatile=row.default is not None and is_volatile(row.default, volatile),
        identity=_IDENTITY[row.identity],
        generated=_GENERATED[row.generated],
        collation=name_or_none(row.collation_schema, row.collation_name),
        comment=row.comment,
        grants=grants(row),
        storage=row.storage,
        statistics_target=row.statistics_target,
        compression=_COMPRESSION[row.compression],
        options=tuple(row.options or ()),
    )


def constraint(row: Row, names: ColumnNames) -> Constraint:
    """A check that reads the row as a whole has position 0 among its own: it reads every column."""
    positions: list[int] = row.positions or []
    at = names[row.relation]
    whole_row = row.kind == "c" and 0 in positions
    return Constraint(
        name=row.name,
        kind=_CONSTRAINT[row.kind],
        columns=tuple(at[position] for position in sorted(at)) if whole_row else named(positions, at),
        definition=row.definition,
        validated=row.validated,
        deferrable=row.deferrable,
        index=row.index,
        references=name_or_none(row.parent_schema, row.parent),
        referenced_columns=named(row.referenced_positions or (), names[row.referenced]),
        inherited=row.inherited,
        comment=row.comment,
        needed_by=tuple(row.needed_by or ()),
    )


def foreign_key(row: Row, names: ColumnNames) -> ForeignKey:
    """The same row, seen from neither side."""
    return ForeignKey(
        name=row.name,
        child=Name(row.schema, row.child),
        columns=named(row.positions, names[row.relation]),
        parent=Name(row.parent_schema, row.parent),
        referenced_columns=named(row.referenced_positions, names[row.referenced]),
        definition=row.definition,
        validated=row.validated,
    )


def index(row: Row, names: ColumnNames) -> Index:
    """Its key is the first `keys` positions; what follows is INCLUDE."""
    positions: list[int] = row.positions
    at = names[row.relation]
    return Index(
        name=row.name,
        definition=row.definition,
        method=row.method,
        columns=tuple(at.get(position, "") for position in positions[: row.keys]),
        reads=frozenset(named([*positions, *(row.reads or ())], at)),
        unique=row.unique,
        primary=row.primary,
        valid=row.valid,
        ready=row.ready,
        replica_identity=row.replica_identity,
        constraint=row.constraint,
        size=row.size or 0,
        comment=row.comment,
        predicate=row.predicate,
        partition_of=name_or_none(row.parent_schema, row.parent),
        clustered=row.clustered,
        statistics=tuple((place, target) for place, target in row.statistics),
    )


def trigger(row: Row, names: ColumnNames) -> Trigger:
    """A trigger with the text of its function."""
    return Trigger(
        name=row.name,
        definition=row.definition,
        function=Name(row.function_schema, row.function),
        enabled=row.enabled,
        before=bool(row.type & _BEFORE),
        row=bool(row.type & _ROW),
        events=frozenset(event for bit, event in _EVENT.items() if row.type & bit),
        columns=named(row.positions, names[row.relation]),
        arguments=tuple(part.decode(errors="replace") for part in row.arguments.split(b"\0")[:-1]),
        language=row.language,
        body=row.body,
        inherited=row.inherited,
        comment=row.comment,
    )


def policy(row: Row, names: ColumnNames) -> Policy:
    """A policy with the columns of its own table that it reads."""
    return Policy(
        name=row.name,
        command=_COMMAND[row.command],
        permissive=row.permissive,
        roles=tuple(row.roles),
        using=row.using,
        check=row.check,
        reads=frozenset(named(row.reads, names[row.relation])),
        comment=row.comment,
    )


def rule(row: Row) -> Rule:
    """A rule of a table or view."""
    return Rule(name=row.name, definition=row.definition, enabled=row.enabled, comment=row.comment)


def statistics(row: Row) -> Statistics:
    """Extended statistics. A target of -1, which PostgreSQL 16 and older keep, is none."""
    return Statistics(
        name=name(row),
        definition=row.definition,
        expressions=tuple(row.expressions or ()),
        owner=row.owner,
        target=None if row.target in (None, -1) else row.target,
        comment=row.comment,
    )


def publication(row: Row, names: ColumnNames) -> Publication:
    """A publication as one table is in it."""
    return Publication(
        name=row.name,
        scope=row.scope,
        listed=named(row.listed or (), names[row.relation]),
        updates=row.updates,
        via_root=row.via_root,
    )


def sequence(row: Row, uses: tuple[Use, ...]) -> Sequence:
    """A sequence with the column it is owned by."""
    table = name_or_none(row.table_schema, row.table)
    return Sequence(
        name=name(row),
        type=row.type,
        owned_by=None if table is None else (table, row.column),
        increment=row.increment,
        maximum=row.maximum,
        minimum=row.minimum,
        start=row.start,
        cache=row.cache,
        cycle=row.cycle,
        owner=row.owner,
        grants=tuple(row.grants or ()),
        comment=row.comment,
        uses=uses,
    )


def enum(row: Row, uses: tuple[Use, ...]) -> Enum:
    """An enum with its values in sort order."""
    return Enum(name(row), tuple(row.labels), row.owner, grants(row), row.comment, uses)


def domain(row: Row, uses: tuple[Use, ...]) -> Domain:
    """A domain with its rules by name."""
    return Domain(
        name=name(row),
        type=row.base,
        not_null=row.not_null,
        default=row.default,
        collation=name_or_none(row.collation_schema, row.collation_name),
        constraints=tuple(zip(row.rule_names, row.rules, strict=True)),
        rule_comments={
            rule: said for rule, said in zip(row.rule_names, row.rule_comments, strict=True) if said is not None
        },
        owner=row.owner,
        grants=grants(row),
        comment=row.comment,
        uses=uses,
    )


def composite(row: Row, uses: tuple[Use, ...]) -> Composite:
    """A row type with its attributes in order."""
    return Composite(name(row), tuple(row.attributes), row.owner, grants(row), row.comment, uses)


def function(row: Row) -> Function:
    """A function, told from its overloads by the types of its arguments."""
    return Function(
        name=name(row),
        arguments=row.arguments,
        language=row.language,
        body=row.body,
        definition=row.definition,
        owner=row.owner,
        grants=grants(row),
        comment=row.comment,
    )


def server(row: Row) -> Server:
    """The server, with its replicas and settings out of their JSON."""
    return Server(
        version=row.version,
        in_recovery=row.in_recovery,
        wal_level=row.wal_level,
        timezone=row.timezone,
        block_size=row.block_size,
        replicas=tuple(Replica(**replica) for replica in row.replicas or ()),
        settings=row.settings or {},
        superusers=frozenset(row.superusers),
    )


def role(row: Row, *, may_set_replication_role: bool) -> Role:
    """The role the session acts as."""
    return Role(
        name=row.role,
        superuser=row.superuser,
        sees_every_row=row.sees_every_row,
        may_set_replication_role=may_set_replication_role,
        may_create_schema=row.may_create_schema,
        member_of=frozenset(row.member_of),
        shut_out_of=frozenset(row.shut_out_of),
        kept_from_making=frozenset((schema, owner) for schema, owner in row.kept_from_making),
    )
