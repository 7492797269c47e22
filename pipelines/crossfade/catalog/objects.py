"""What stands beside the tables: foreign keys, types, sequences, functions, the server and the role."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from crossfade.catalog.parts import Name


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key, seen from neither side. Copies that partitions inherit are not listed."""

    name: str
    child: Name
    columns: tuple[str, ...]
    parent: Name
    referenced_columns: tuple[str, ...]
    definition: str
    validated: bool


@dataclass(frozen=True, order=True)
class Use:
    """Something that depends on a type or a sequence, in PostgreSQL's words: `table column` public.users.mood.

    path: the names that lead to it; of a part of a relation: schema, relation, part.
    """

    kind: str
    user: str
    path: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.kind} {self.user}"


@dataclass(frozen=True)
class Enum:
    """An enum type, its values in sort order."""

    name: Name
    values: tuple[str, ...]
    owner: str = ""
    grants: tuple[str, ...] = ()
    comment: str | None = None
    uses: tuple[Use, ...] = ()


@dataclass(frozen=True)
class Domain:
    """A domain: a type with rules of its own. `constraints` are (name, definition), by name."""

    name: Name
    type: str  # the type it is over, as format_type spells it
    not_null: bool
    default: str | None
    collation: Name | None  # only when it differs from the type's
    constraints: tuple[tuple[str, str], ...]
    owner: str = ""
    grants: tuple[str, ...] = ()
    comment: str | None = None
    uses: tuple[Use, ...] = ()
    rule_comments: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)  # by the rule's name


@dataclass(frozen=True)
class Composite:
    """A free-standing row type, its attributes as `name type` in order."""

    name: Name
    attributes: tuple[str, ...]
    owner: str = ""
    grants: tuple[str, ...] = ()
    comment: str | None = None
    uses: tuple[Use, ...] = ()


@dataclass(frozen=True)
class Sequence:
    """A sequence; `owned_by` for serial and identity columns alike (Column.identity tells them apart).

    grants: in the order of their making, in which an identity that goes over to another column gets them again.
    """

    name: Name
    type: str
    owned_by: tuple[Name, str] | None  # table, column
    increment: int
    maximum: int
    minimum: int = 1
    start: int = 1
    cache: int = 1
    cycle: bool = False
    owner: str = ""
    grants: tuple[str, ...] = ()
    comment: str | None = None
    uses: tuple[Use, ...] = ()


@dataclass(frozen=True)
class Function:
    """A function or procedure somebody wrote here: not an aggregate, nor one of an extension."""

    name: Name
    arguments: str  # the types that tell overloads apart: "integer, text"
    language: str
    body: str  # its source text; empty where it is in standard SQL
    definition: str  # pg_get_functiondef's
    owner: str
    grants: tuple[str, ...]
    comment: str | None = None

    def __str__(self) -> str:
        return f"{self.name}({self.arguments})"


@dataclass(frozen=True)
class Role:
    """The role this snapshot was read as, and what it may do."""

    name: str
    superuser: bool
    sees_every_row: bool  # no row security binds it
    may_set_replication_role: bool
    may_create_schema: bool  # CREATE on the database
    member_of: frozenset[str]  # roles whose privileges it has, itself included
    shut_out_of: frozenset[str]  # schemas it may not use
    kept_from_making: frozenset[tuple[str, str]]  # schema, role that owns something there but may create nothing


@dataclass(frozen=True)
class Replica:
    """A standby or subscriber streaming from here; lag is None where the role may not see it."""

    application_name: str
    state: str  # "unknown" where the role may not see it
    lag_seconds: float | None
    lag_bytes: int | None


@dataclass(frozen=True)
class Server:
    """The server behind the snapshot."""

    version: int  # server_version_num
    in_recovery: bool
    wal_level: str
    timezone: str
    block_size: int
    replicas: tuple[Replica, ...]
    settings: Mapping[str, str] = field(default_factory=dict[str, str])  # the few that planning asks for
    superusers: frozenset[str] = frozenset()  # roles
