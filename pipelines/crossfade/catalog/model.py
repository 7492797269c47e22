"""What a database is at one moment: frozen values, related by name, questions answered without I/O.

Names are plain (unquoted) as the catalog stores them. `relkind`-like letters are spelled out. Everything
here compares by value, so two snapshots can be diffed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

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
    Constraint,
    ConstraintKind,
    Dependent,
    Identity,
    Index,
    Name,
    Policy,
    Publication,
    Rule,
    Statistics,
    Trigger,
)

__all__ = [
    "Catalog",
    "Column",
    "Composite",
    "Constraint",
    "ConstraintKind",
    "Dependent",
    "Domain",
    "Enum",
    "ForeignKey",
    "Function",
    "Identity",
    "Index",
    "Name",
    "Policy",
    "Publication",
    "Replica",
    "Role",
    "RowEvent",
    "Rule",
    "Sequence",
    "Server",
    "Statistics",
    "Table",
    "TableKind",
    "Trigger",
    "Use",
    "View",
]

OWN_PREFIX = "_cf_"  # of every name that crossfade gives

TableKind = Literal["table", "partitioned", "foreign"]
RowEvent = Literal["insert", "update", "delete"]


@dataclass(frozen=True)
class Table:
    """A table with all that belongs to it."""

    name: Name
    oid: int
    kind: TableKind
    owner: str
    columns: tuple[Column, ...]
    constraints: tuple[Constraint, ...]
    indexes: tuple[Index, ...]
    triggers: tuple[Trigger, ...]
    policies: tuple[Policy, ...]
    dependents: tuple[Dependent, ...]
    row_security: bool
    force_row_security: bool
    grants: tuple[str, ...]  # aclitem texts, in the order they were given, the owner's defaults included
    replica_identity: str  # default, nothing, full or index
    storage_parameters: tuple[str, ...]  # those of its TOAST table start with "toast."
    partition_key: str | None
    partition_of: Name | None
    partition_bound: str | None
    comment: str | None
    size: int  # heap and TOAST, bytes; of a partitioned table: the sum of its leaves
    rows: int  # the estimate (reltuples); -1 = never analysed; of a partitioned table: the sum of those known
    blocks: int  # heap blocks now (pg_relation_size / block_size); of a partitioned table: the sum
    unlogged: bool
    inherits: tuple[Name, ...] = ()  # parents by plain INHERITS
    tablespace: str | None = None  # None = the database's
    access_method: str | None = None  # heap, nearly always
    extension: str | None = None  # the extension it belongs to
    publications: tuple[Publication, ...] = ()  # of itself; one of a partitioned table is listed there alone
    rules: tuple[Rule, ...] = ()
    statistics: tuple[Statistics, ...] = ()

    @cached_property
    def by_name(self) -> Mapping[str, Column]:
        """Its columns by name, in their order."""
        return {column.name: column for column in self.columns}

    @property
    def user_triggers(self) -> tuple[Trigger, ...]:
        """The triggers that are not of a migration."""
        return tuple(trigger for trigger in self.triggers if not trigger.name.startswith(OWN_PREFIX))

    @property
    def has_replica_identity(self) -> bool:
        """Logical replication can tell which row an UPDATE is about."""
        match self.replica_identity:
            case "default":
                return any(found.kind == "primary_key" and not found.deferrable for found in self.constraints)
            case "index":
                return any(index.replica_identity for index in self.indexes)
            case identity:
                return identity == "full"

    @cached_property
    def key(self) -> tuple[str, ...]:
        """The columns that tell rows apart.

        The primary key, else the narrowest valid unique index over NOT NULL columns without predicate,
        else ().
        """
        for constraint in self.constraints:
            if constraint.kind == "primary_key":
                return constraint.columns
        deferrable = {constraint.name for constraint in self.constraints if constraint.deferrable}
        candidates = [
            index.columns
            for index in self.indexes
            if index.unique
            and index.valid
            and index.predicate is None
            and index.constraint not in deferrable
            and all(name in self.by_name and self.by_name[name].not_null for name in index.columns)
        ]
        return min(candidates, key=lambda columns: (len(columns), columns), default=())


@dataclass(frozen=True)
class View:
    """A view or materialized view and the (relation, column) pairs it reads.

    reads: of the relations in this snapshot, what it names itself, whether table or view; column '' = the
    relation as a whole, as in count(*).
    """

    name: Name
    materialized: bool
    definition: str
    owner: str
    options: tuple[str, ...]
    reads: frozenset[tuple[Name, str]]
    populated: bool = True
    columns: tuple[Column, ...] = ()
    indexes: tuple[Index, ...] = ()  # of a materialized view
    triggers: tuple[Trigger, ...] = ()  # INSTEAD OF
    grants: tuple[str, ...] = ()
    comment: str | None = None
    extension: str | None = None  # the extension it belongs to
    dependents: tuple[Dependent, ...] = ()
    rules: tuple[Rule, ...] = ()
    tablespace: str | None = None  # of a materialized view; None = the database's
    access_method: str | None = None  # of a materialized view

    @property
    def kind(self) -> str:
        """What it is called in SQL, in lower case."""
        return "materialized view" if self.materialized else "view"


@dataclass(frozen=True)
class Catalog:
    """One database at one moment."""

    database: str  # current_database()
    server: Server
    role: Role
    tables: Mapping[Name, Table]
    views: Mapping[Name, View]
    enums: Mapping[Name, Enum]
    sequences: Mapping[Name, Sequence]
    types: frozenset[Name]  # domains, composites, ranges, enums
    schemas: Mapping[str, bool]  # schema -> this role may create in it
    extensions: Mapping[str, str]  # name -> version
    foreign_keys: tuple[ForeignKey, ...]
    domains: Mapping[Name, Domain] = field(default_factory=dict[Name, Domain])
    composites: Mapping[Name, Composite] = field(default_factory=dict[Name, Composite])
    functions: Mapping[str, Function] = field(default_factory=dict[str, Function])  # by "schema.name(types)"
    schema_grants: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])  # aclitem texts
    locked: Mapping[Name, str] = field(default_factory=dict[Name, str])  # tables not read whole -> who holds them

    def table(self, schema: str, name: str) -> Table | None:
        """The table of that name, or None."""
        return self.tables.get(Name(schema, name))

    def references_to(self, table: Name) -> tuple[ForeignKey, ...]:
        """The foreign keys whose parent it is, its own to itself included."""
        return tuple(key for key in self.foreign_keys if key.parent == table)

    def references_from(self, table: Name) -> tuple[ForeignKey, ...]:
        """The foreign keys it has, to itself included."""
        return tuple(key for key in self.foreign_keys if key.child == table)

    def partitions(self, table: Name) -> tuple[Table, ...]:
        """Its direct partitions, by name."""
        return self._partitions.get(table, ())

    def leaves(self, table: Name) -> Iterator[Table]:
        """The tables that hold rows: the leaf partitions below a partitioned table, else the table itself.

        Raises KeyError for a table that is not in the snapshot.
        """
        found = self.tables[table]
        if found.kind != "partitioned":
            yield found
        for partition in self.partitions(table):
            yield from self.leaves(partition.name)

    def tree(self, table: Name) -> Iterator[Table]:
        """The table, and its partitions at any depth."""
        yield self.tables[table]
        for partition in self.partitions(table):
            yield from self.tree(partition.name)

    def fired_by(self, event: RowEvent, table: Name) -> tuple[Trigger, ...]:
        """The users' triggers that an INSERT, say, of its rows fires, those of single partitions too."""
        return self._firing(event, table, "OA")

    def fired_in_silence(self, event: RowEvent, table: Name) -> tuple[Trigger, ...]:
        """The same while session_replication_role is `replica`, those enabled ALWAYS first."""
        return self._firing(event, table, "A") + self._firing(event, table, "R")

    def _firing(self, event: RowEvent, table: Name, enabled: str) -> tuple[Trigger, ...]:
        return tuple(
            trigger
            for part in self.tree(table)
            for trigger in part.user_triggers
            if event in trigger.events and trigger.enabled in enabled
        )

    @cached_property
    def _partitions(self) -> Mapping[Name, tuple[Table, ...]]:
        below: dict[Name, list[Table]] = {}
        for table in sorted(self.tables.values(), key=lambda table: table.name):
            if table.partition_of is not None:
                below.setdefault(table.partition_of, []).append(table)
        return {parent: tuple(partitions) for parent, partitions in below.items()}
