"""What a table or view is made of: columns, constraints, indexes, triggers, policies, dependents.

Every definition and expression is printed with an empty search_path, as pg_dump does: names outside
pg_catalog are qualified, so that it means the same in any session.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ConstraintKind = Literal["primary_key", "unique", "check", "foreign_key", "exclude", "not_null", "trigger"]
Identity = Literal["always", "by default"]
Generated = Literal["stored", "virtual"]
Compression = Literal["pglz", "lz4"]
PublicationScope = Literal["table", "schema", "all tables"]


@dataclass(frozen=True, order=True, slots=True)
class Name:
    """A schema-qualified name of a relation, type or function."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. `type` is as format_type spells it, e.g. `numeric(10,2)`."""

    name: str
    position: int  # attnum
    type: str
    type_name: Name  # the type itself, without modifiers: pg_catalog.numeric
    not_null: bool  # holds for every row: False while a NOT NULL constraint is NOT VALID
    default: str | None  # the default's or the generation's expression, as pg_get_expr prints it
    default_volatile: bool  # the default contains a volatile function (nextval, random, ...)
    identity: Identity | None
    generated: Generated | None
    collation: Name | None  # only when it differs from the type's
    comment: str | None
    grants: tuple[str, ...]  # column-level aclitem texts, in the order they were given
    storage: str | None  # attstorage letter, only when it differs from the type's
    statistics_target: int | None
    compression: Compression | None = None  # only when set for the column
    options: tuple[str, ...] = ()  # attoptions, e.g. n_distinct=-1


@dataclass(frozen=True, slots=True)
class Constraint:
    """A constraint of a table; `definition` is pg_get_constraintdef's."""

    name: str
    kind: ConstraintKind
    columns: tuple[str, ...]  # in key order; of a check: the columns it reads
    definition: str
    validated: bool
    deferrable: bool
    index: str | None  # the index behind a key or exclusion
    references: Name | None = None  # foreign key: the parent
    referenced_columns: tuple[str, ...] = ()
    inherited: bool = False
    comment: str | None = None
    needed_by: tuple[str, ...] = ()  # views and functions that PostgreSQL holds to it: they group by a primary key


@dataclass(frozen=True, slots=True)
class Index:
    """An index of a table; `definition` is pg_get_indexdef's."""

    name: str
    definition: str
    method: str
    columns: tuple[str, ...]  # key columns by name, expressions as ''
    reads: frozenset[str]  # every column it depends on: keys, expressions, INCLUDE, predicate
    unique: bool
    primary: bool
    valid: bool
    ready: bool
    replica_identity: bool
    constraint: str | None  # the constraint it belongs to
    size: int  # bytes; of an index of a partitioned table: the sum over its partitions
    comment: str | None = None
    predicate: str | None = None  # of a partial index, without WHERE
    partition_of: Name | None = None  # the partitioned table's index this one is attached to
    clustered: bool = False  # CLUSTER without an index orders the table by it
    statistics: tuple[tuple[int, int], ...] = ()  # place in the key, from 1, and the target set for it


@dataclass(frozen=True, slots=True)
class Trigger:
    """A user-visible trigger. `enabled` is pg_trigger.tgenabled: O, D, R or A."""

    name: str
    definition: str
    function: Name
    enabled: str
    before: bool
    row: bool
    events: frozenset[str]  # of insert, update, delete, truncate
    columns: tuple[str, ...]  # UPDATE OF ...
    arguments: tuple[str, ...]  # what its function is given, in the order written
    language: str  # of its function
    body: str  # source text of its function; of one in C the name of a symbol
    inherited: bool = False  # cloned from the partitioned table
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that is not a view's own query. `enabled` is pg_rewrite.ev_enabled: O, D, R or A."""

    name: str
    definition: str  # pg_get_ruledef's
    enabled: str
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """A row security policy, with the columns of its table that its expressions read."""

    name: str
    command: str  # all, select, insert, update or delete
    permissive: bool
    roles: tuple[str, ...]  # "public" = every role
    using: str | None
    check: str | None
    reads: frozenset[str]
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Statistics:
    """Extended statistics of a table; `definition` is pg_get_statisticsobjdef's."""

    name: Name
    definition: str
    expressions: tuple[str, ...]  # those that are no plain columns
    owner: str
    target: int | None  # only when set
    comment: str | None = None

    @property
    def told_target(self) -> str:
        """As the server prints it."""
        return "" if self.target is None else str(self.target)


@dataclass(frozen=True, slots=True)
class Publication:
    """A publication that carries a table, to subscribers and whoever else decodes it."""

    name: str
    scope: PublicationScope  # what it was made for; one of its schema carries tables to come too, one of all any
    listed: tuple[str, ...]  # the column list; empty = every column, those to come too
    updates: bool  # carries UPDATE, which PostgreSQL then refuses of a table without a replica identity
    via_root: bool  # rows of partitions are sent as the partitioned table's (publish_via_partition_root)


@dataclass(frozen=True, slots=True)
class Dependent:
    """Something that depends on a column of a table and is not part of the table itself.

    kind is one of: view, materialized view, rule, policy, generated column, statistics, publication,
    foreign key, function, function body, trigger, column (of another table, that has this table's row type).

    A `function body` mentions the table's name as a word, which is evidence and not proof: its name ends
    with " (text)". A view over a view depends on every base column the lower view reads, because changing
    one of those means making both anew.
    """

    kind: str
    name: str  # as a person would write it, schema-qualified where it has a schema
    columns: frozenset[str]  # columns of the table it names; empty = the table as a whole
    definition: str | None = None  # of statistics, rules and publications, which are described nowhere else
    of: Name | None = None  # the relation that has the policy, rule or trigger; of a view: itself
    named: frozenset[str] = frozenset()  # of the columns, those that it names itself, not through a view
