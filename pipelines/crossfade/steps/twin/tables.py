"""A table and its twin: who bears which name at which moment, and by which columns their rows are known.

Applications write under one name only. At the turn the twin takes that name, the table gets another one, and the
direction is turned: what is written goes from the bearer of the name to the other one, before as after. See
docs/decisions/0017 for why it is as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from crossfade.catalog.model import Column, Name
from crossfade.composing import sql
from crossfade.steps.compose import identifier, is_row, record, relation
from crossfade.steps.names import own_name
from crossfade.steps.step import Relation

Moment = Literal["side by side", "turned"]


@dataclass(frozen=True)
class Twin:
    """Two tables with the same columns and the same rows.

    table: the name that applications use. new: the twin's until the turn. old: the table's after it.
    key: not NULL, and unique in both. columns: those that can be written, in order.
    referenced: foreign keys of other tables point at the table, and from validate on at the twin.
    search_path: where functions that its rules and indexes call look things up.
    """

    migration: str
    database: str
    table: Name
    new: Name
    old: Name
    key: tuple[str, ...]
    key_types: tuple[str, ...]
    columns: tuple[Column, ...]
    referenced: bool
    search_path: tuple[str, ...]

    @property
    def shown(self) -> str:
        """The two tables, for people."""
        return f"{self.table} and its twin"

    @property
    def source(self) -> sql.Identifier:
        return identifier(self.table)

    @property
    def relation(self) -> Relation:
        return relation(self.table)

    def other(self, moment: Moment) -> Name:
        """The one that applications do not write."""
        return self.new if moment == "side by side" else self.old

    def target(self, moment: Moment) -> sql.Identifier:
        return identifier(self.other(moment))

    def target_relation(self, moment: Moment) -> Relation:
        return relation(self.other(moment))

    def own(self, purpose: str, *subject: str) -> str:
        return own_name(self.migration, purpose, *subject, str(self.table), self.table.name)

    def id(self, *parts: str) -> str:
        """A step's id."""
        return "/".join((str(self.table), "twin", *parts))

    def function(self, purpose: str) -> sql.Identifier:
        return sql.Identifier("crossfade", self.own(purpose))

    @property
    def notes(self) -> sql.Identifier:
        """The table of keys of rows that could not be carried yet."""
        return sql.Identifier("crossfade", self.own("behind"))

    @property
    def note_key(self) -> tuple[str, ...]:
        return tuple(f"key_{number}" for number in range(len(self.key)))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def settable(self) -> tuple[str, ...]:
        """What an UPDATE may set in a row that is there."""
        return tuple(c.name for c in self.columns if c.name not in self.key and c.identity != "always")

    def same(self, one: str, other: str) -> sql.Composable:
        """Two rows, by these aliases, bear the same key."""
        return is_row(self.key, self.key_types, one, [sql.Identifier(other, name) for name in self.key])

    def noted(self, row: str) -> sql.Composable:
        """The note `b` is of the row."""
        return is_row(self.note_key, self.key_types, "b", [sql.Identifier(row, name) for name in self.key])

    def differ(self, one: str, other: str) -> sql.Composable:
        """They are not the same, byte for byte."""
        return sql.SQL("{} *<> {}").format(record(self.names, one), record(self.names, other))
