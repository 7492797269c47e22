"""The values of rows before they were set, kept by key with those that were set."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from crossfade.catalog.model import Table
from crossfade.composing import sql
from crossfade.steps.aside import forgotten, noted
from crossfade.steps.compose import identifier, names, same_key, text
from crossfade.steps.names import own_name
from crossfade.steps.step import Ddl, Leg


@dataclass(frozen=True)
class OldValues:
    """A table for some columns of rows of another.

    stored: its name in the schema crossfade.
    """

    migration: str
    database: str
    leg: Leg
    table: Table
    columns: tuple[str, ...]
    stored: str
    keep: timedelta

    @property
    def sql(self) -> sql.Identifier:
        return sql.Identifier("crossfade", self.stored)

    def new(self, column: str) -> str:
        """What it calls the value we set, by which one sees whether somebody has written since."""
        return own_name("set", column)

    def same_key(self, left: str, right: str) -> sql.Composable:
        return same_key(self.table.key, {column.name: column.type for column in self.table.columns}, left, right)

    def make_room(self, step_id: str) -> Ddl:
        columns = sql.SQL(", ").join(
            sql.SQL("{c}, {c} AS {n}").format(c=sql.Identifier(name), n=sql.Identifier(self.new(name)))
            for name in self.columns
        )
        return Ddl(
            id=step_id,
            leg=self.leg,
            database=self.database,
            title=f"make room for the old values of {self.table.name} ({', '.join(self.columns)})",
            statements=text(
                sql.SQL("CREATE TABLE {} AS SELECT {}, {} FROM {} WITH NO DATA").format(
                    self.sql, names(self.table.key), columns, identifier(self.table.name)
                ),
                sql.SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(self.sql, names(self.table.key)),
                noted(self.migration, str(self.table.name), self.stored, self.columns, self.leg, self.keep),
            ),
            undo=(
                Ddl(
                    id=f"{step_id}/undo",
                    leg=self.leg,
                    database=self.database,
                    title=f"drop the kept values of {self.table.name}",
                    statements=text(*forgotten(self.stored)),
                ),
            ),
            undo_title="drop the kept values",
        )
