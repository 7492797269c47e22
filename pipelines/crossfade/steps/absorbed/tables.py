"""A table whose rows another one takes in: which columns follow each other, and by what a row knows its like.

Left is the table that goes, right the one that is kept. See docs/decisions/0021 for why it is as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from crossfade.catalog.model import Column, Name, Table
from crossfade.composing import sql
from crossfade.spec.fragment import Expression, trusted
from crossfade.steps.compose import equal, identifier, record, relation
from crossfade.steps.kept import key_arguments, key_json
from crossfade.steps.names import own_name
from crossfade.steps.rekey import Referring
from crossfade.steps.rules import Place
from crossfade.steps.step import Leg, Relation

Side = Literal["left", "right"]
SIDES: tuple[Side, ...] = ("left", "right")


@dataclass(frozen=True)
class Absorbed:
    """Rows of `table` come into `kept`.

    columns: of the kept table -> of the other one. values: what the rows get in other columns there, over their old
    row. draw: SQL for a new key. counters: sequences that TRUNCATE of the kept table may restart. referred: rows of
    other tables point at the like `k`. search_path: where names in SQL of the spec and the tables are looked up.
    heard: user triggers of the kept table fire for the rows that are filled in. silent: they must not; silent_back: nor
    for those that go again; silent_old: nor those of the table that goes, for rows that are brought up to date.
    children: the tables that refer to the one that goes, by its key, and by that of the like.
    """

    migration: str
    database: str
    table: Table
    kept: Table
    columns: Mapping[str, str]
    values: Mapping[str, Expression]
    draw: str
    counters: tuple[Name, ...]
    referred: sql.Composable
    search_path: tuple[str, ...]
    heard: bool
    silent: bool
    silent_back: bool
    silent_old: bool
    children: tuple[Referring, ...] = ()

    @property
    def key_types(self) -> tuple[str]:
        return (self.key.type,)

    @property
    def key(self) -> Column:
        """The kept table's."""
        return self.kept.by_name[self.kept.key[0]]

    @property
    def shown(self) -> str:
        """The two tables, for people."""
        return f"{self.table.name} and {self.kept.name}"

    @property
    def left(self) -> Relation:
        return relation(self.table.name)

    @property
    def right(self) -> Relation:
        return relation(self.kept.name)

    @property
    def hidden(self) -> Relation:
        """The table that goes, as it is called from retire on."""
        return Relation(schema_name=self.table.name.schema, name=self.own("merged"))

    def place(self, leg: Leg) -> Place:
        return Place(self.migration, self.database, self.left, self.table.key, leg)

    @property
    def kept_sql(self) -> sql.Identifier:
        return identifier(self.kept.name)

    @property
    def link(self) -> str:
        """The column of the table that goes which holds the key of the row's like."""
        return self.own("like")

    @property
    def made(self) -> str:
        """The column that says whether the like is there: NULL not yet, false it could not be made."""
        return self.own("made")

    @property
    def rows(self) -> sql.Identifier:
        """A view of the table that goes: it means that table under whatever name."""
        return sql.Identifier("crossfade", self.own("rows"))

    @property
    def notes(self) -> sql.Identifier:
        """The table of keys of which one side holds what the other has not got yet."""
        return sql.Identifier("crossfade", self.own("behind"))

    def own(self, purpose: str) -> str:
        return own_name(self.migration, purpose, str(self.kept.name), str(self.table.name), self.table.name.name)

    def id(self, *parts: str) -> str:
        return "/".join((str(self.table.name), "into", str(self.kept.name), *parts))

    def function(self, purpose: str) -> sql.Identifier:
        return sql.Identifier("crossfade", self.own(purpose))

    @property
    def drawn(self) -> sql.Composable:
        return trusted(self.draw)

    def is_like(self, row: str, like: str) -> sql.Composable:
        """`like`, of the kept table, is that of `row`."""
        return equal(self.key.type, sql.Identifier(like, self.key.name), sql.Identifier(row, self.link))

    def differ(self, row: str, like: str) -> sql.Composable:
        """Their columns are not the same, byte for byte."""
        return sql.SQL("{} *<> {}").format(record(self.columns.values(), row), record(self.columns, like))

    def written(self, row: str) -> sql.Composable:
        """What the like of a row is made of, in the order of `filled`."""
        found: list[sql.Composable] = [sql.Identifier(row, name) for name in self.columns.values()]
        found += [value.render(self.table.name.name, row) for value in self.values.values()]
        return sql.SQL(", ").join(found)

    @property
    def filled(self) -> tuple[str, ...]:
        """Columns of the kept table that a like gets values for, but for its key."""
        return (*self.columns, *self.values)

    @property
    def all_columns(self) -> sql.Composable:
        """Those that follow each other, by their names in the kept table, as notes have them."""
        return sql.SQL("CAST({} AS text[])").format(sql.Literal(list(self.columns)))

    @property
    def argument(self) -> sql.Composable:
        """The key of a like, as our functions are given it."""
        return key_arguments(self)[0]

    def is_row(self, row: str, key: sql.Composable) -> sql.Composable:
        """`row`, of the table that goes, is the one whose like has this key."""
        return equal(self.key.type, sql.Identifier(row, self.link), key)

    def has_key(self, like: str, key: sql.Composable) -> sql.Composable:
        """`like`, of the kept table, has this key."""
        return equal(self.key.type, sql.Identifier(like, self.key.name), key)

    def found(self, side: Side, key: sql.Composable) -> sql.Composable:
        """The row of one side, behind FROM: `t` of the kept table, or `s` of the other one if its like was made."""
        if side == "right":
            return sql.SQL("{} AS t WHERE {}").format(self.kept_sql, self.has_key("t", key))
        return sql.SQL("{} AS s WHERE {} AND s.{}").format(self.rows, self.is_row("s", key), sql.Identifier(self.made))

    def row_json(self, row: str) -> sql.Composable:
        """A row of the table that goes, as conflicts have it."""
        key = self.table.key
        return key_json(key, [sql.Identifier(row, name) for name in key])

    def note_json(self, key: sql.Composable) -> sql.Composable:
        """A row whose sides differ, by the one name it has while either may be gone."""
        return key_json([self.link], [key])

    def told_of(self, side: Side) -> str:
        """The table that a conflict is noted of: the writer's, or two of them would wait for each other's note."""
        return str(self.table.name if side == "left" else self.kept.name)
