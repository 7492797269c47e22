"""A primary key that another one replaces, and the foreign keys that follow, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from crossfade.catalog.model import Column, Constraint, Index, Table
from crossfade.composing import sql
from crossfade.steps.compose import identifier, relation
from crossfade.steps.names import own_name
from crossfade.steps.rules import Place
from crossfade.steps.step import Leg, Relation

KeyType = Literal["uuid", "bigint"]


@dataclass(frozen=True)
class Referring:
    """A foreign key to the old key, which one to the new key replaces.

    columns: those that refer, in the order of the old key's. column: the one that takes their place, with its foreign
    key's name. kept: of the columns those that stay. late: a row may come before the one that it refers to.
    """

    table: Table
    constraint: Constraint
    columns: tuple[str, ...]
    column: str
    name: str
    kept: tuple[str, ...]
    late: bool

    @property
    def relation(self) -> Relation:
        return relation(self.table.name)

    @property
    def leaving(self) -> tuple[str, ...]:
        return tuple(column for column in self.columns if column not in self.kept)

    @property
    def required(self) -> bool:
        """Every row refers to one."""
        return all(self.table.by_name[column].not_null for column in self.columns)

    def own(self, migration: str, purpose: str) -> str:
        return own_name(migration, purpose, str(self.table.name), self.column)

    def hidden(self, migration: str) -> tuple[str, ...]:
        """The columns as they are called from retire on."""
        table = str(self.table.name)
        return tuple(name if name in self.kept else own_name(migration, "old", table, name) for name in self.columns)

    def marker(self, migration: str) -> str:
        """The column that says of each row whether it is mapped."""
        return own_name(migration, "mapped", str(self.table.name), self.table.name.name)

    def place(self, key: Rekeyed, leg: Leg) -> Place:
        return Place(key.migration, key.database, self.relation, self.table.key, leg)


@dataclass(frozen=True)
class Rekeyed:
    """A table whose primary key is replaced by one of a new column.

    constraint, index: of the old key. kept: of its columns those that stay. silent: user triggers must not fire for the
    rows that get a new key. partial: a new key may be that of a row which has no old one.
    """

    migration: str
    database: str
    table: Table
    constraint: Constraint
    index: Index
    column: str
    type: str
    kept: tuple[str, ...]
    children: tuple[Referring, ...]
    silent: bool
    partial: bool = False

    @property
    def sql(self) -> sql.Identifier:
        return identifier(self.table.name)

    @property
    def relation(self) -> Relation:
        return relation(self.table.name)

    @property
    def old(self) -> tuple[Column, ...]:
        """The columns of the old key."""
        return tuple(self.table.by_name[name] for name in self.constraint.columns)

    @property
    def late(self) -> tuple[Referring, ...]:
        """Those of which a row may come before the one that it refers to."""
        return tuple(child for child in self.children if child.late)

    @property
    def stays_unique(self) -> bool:
        """The old key is there in the end."""
        return set(self.kept) == set(self.constraint.columns)

    def own(self, purpose: str) -> str:
        return own_name(self.migration, purpose, str(self.table.name), self.column)

    def id(self, *parts: str) -> str:
        return "/".join((str(self.relation), self.column, *parts))

    def place(self, leg: Leg) -> Place:
        return Place(self.migration, self.database, self.relation, self.table.key, leg)
