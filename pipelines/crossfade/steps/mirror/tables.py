"""A mirror: rows of two tables that stand for each other by a key, and the columns that are kept in step between them.

Left is the side of the old version, right that of the new one. See docs/decisions/0014 for why it is as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from crossfade.catalog.model import Column, Name
from crossfade.composing import sql
from crossfade.steps.compose import Values, equal, identifier, is_row, names, record, relation
from crossfade.steps.names import own_name
from crossfade.steps.step import Relation

Side = Literal["left", "right"]
Moment = Literal["side by side", "turned"]

# What the right table's marker says of a row.
PLACEHOLDER, OURS, THEIRS = 0, 1, 2


@dataclass(frozen=True)
class Half:
    """One of the two tables; `columns` have their like in the other one, in the same order."""

    table: Name
    key: tuple[str, ...]
    columns: tuple[str, ...]

    @property
    def relation(self) -> Relation:
        return relation(self.table)

    @property
    def sql(self) -> sql.Identifier:
        return identifier(self.table)


@dataclass(frozen=True)
class Mirror:
    """Two tables whose rows follow each other.

    given: the left columns as the catalog has them; the right ones have their types and defaults.
    key_types: as the catalog prints them; the same on both sides.
    makes: a left row has a right row, made and gone with it. Else right rows come and go by themselves, and the
        columns of a left row go to the right row of its key if there is one.
    search_path: where user triggers that fire for what is carried look things up.
    silent: user triggers must not fire for the right rows we fill.
    """

    migration: str
    database: str
    left: Half
    right: Half
    given: tuple[Column, ...]
    key_types: tuple[str, ...]
    makes: bool
    search_path: tuple[str, ...]
    silent: bool = False

    def own(self, purpose: str) -> str:
        tables = (str(self.left.table), str(self.right.table))
        return own_name(self.migration, purpose, *tables, *self.right.columns, self.left.table.name)

    def id(self, *parts: str) -> str:
        """A step's id; of several mirrors of two tables each has columns of its own."""
        return "/".join((str(self.left.table), "mirror", str(self.right.table), *self.right.columns, *parts))

    @property
    def shown(self) -> str:
        """The two tables, for people."""
        return f"{self.left.table} and {self.right.table}"

    def listed(self, half: Half) -> str:
        """What a conflict of one of its rows is listed under: other mirrors of the same tables have theirs."""
        return f"{half.table} ({', '.join(self.right.columns)})"

    @property
    def marker(self) -> str:
        """The right column that says of a row: NULL not mapped yet, or PLACEHOLDER, OURS or THEIRS."""
        return self.own("mapped")

    @property
    def notes(self) -> Half:
        """The table of keys of which one side holds what the other has not got yet."""
        key = tuple(f"key_{number}" for number in range(len(self.left.key)))
        return Half(Name("crossfade", self.own("behind")), key, ())

    def function(self, purpose: str) -> sql.Identifier:
        return sql.Identifier("crossfade", self.own(purpose))

    def renamed(self, left: Mapping[str, str]) -> Mirror:
        """The same with the left columns under the names of another moment."""
        columns = tuple(left.get(column, column) for column in self.left.columns)
        return replace(self, left=replace(self.left, columns=columns))

    def same(self, left: str, right: str) -> sql.Composable:
        """A left and a right row, by these aliases, bear the same key."""
        return sql.SQL(" AND ").join(
            equal(type_, sql.Identifier(right, there), sql.Identifier(left, here))
            for here, there, type_ in zip(self.left.key, self.right.key, self.key_types, strict=True)
        )

    def noted(self, half: Half, row: str) -> sql.Composable:
        """The note `b` is of this row of one of the tables."""
        return sql.SQL(" AND ").join(
            equal(type_, sql.Identifier("b", noted), sql.Identifier(row, name))
            for noted, name, type_ in zip(self.notes.key, half.key, self.key_types, strict=True)
        )

    def differ(self, left: str, right: str) -> sql.Composable:
        """Their columns are not the same, byte for byte."""
        return sql.SQL("{} *<> {}").format(record(self.left.columns, left), record(self.right.columns, right))


@dataclass(frozen=True)
class Way:
    """One direction of a mirror: from the side where somebody wrote to the other."""

    mirror: Mirror
    side: Side

    @property
    def source(self) -> Half:
        return self.mirror.left if self.side == "left" else self.mirror.right

    @property
    def target(self) -> Half:
        return self.mirror.right if self.side == "left" else self.mirror.left

    @property
    def back(self) -> Way:
        return Way(self.mirror, "right" if self.side == "left" else "left")

    @property
    def function(self) -> sql.Identifier:
        return self.mirror.function(f"carry_{self.side}")

    def carried(self, row: str, told: sql.Composable) -> sql.Composable:
        """A call that carries what a client told of the row; it gives whether there was another one."""
        return sql.SQL("{}({}, {}, true)").format(self.function, names(self.source.key, of=row), told)

    def carried_by(self, writer: Way, told: sql.Composable) -> sql.Composable:
        """The same by the key of a new row of the other side, which `writer` is of."""
        return sql.SQL("{}({}, {}, true)").format(self.function, names(writer.source.key, of="new"), told)

    def is_row(self, half: Half, alias: str, key: Values) -> sql.Composable:
        return is_row(half.key, self.mirror.key_types, alias, key)
