"""What the kinds share that are about a sequence."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from crossfade.catalog.model import Sequence
from crossfade.changes._change import Change
from crossfade.changes._context import Context
from crossfade.changes._created import refuse_missing
from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.spec.values import Identifier, SpecModel
from crossfade.steps.compose import identifier


class OwningColumn(SpecModel):
    """The column that a sequence goes with."""

    table: Identifier = Field(description="A name in the `schema` of the database, or `schema.table`.")
    column: Identifier = Field(description="When it is dropped, the sequence goes too.")


class SequenceOptions(Change):
    """What a sequence can be told; what is not named stays as it is, of a new one as PostgreSQL has it."""

    sequence: Identifier = Field(description="Its name, in the `schema` of the database, or `schema.name`.")
    type: Literal["smallint", "integer", "bigint"] | None = Field(None, description="Which numbers it can give.")
    increment: int | None = Field(None, description="From one number to the next; not 0.")
    minimum: int | None = Field(None, description="The least number.")
    maximum: int | None = Field(None, description="The greatest number.")
    start: int | None = Field(None, description="The number it begins with, and with RESTART.")
    cache: int | None = Field(None, ge=1, description="How many numbers a session takes at a time.")
    cycle: bool | None = Field(None, description="Whether it begins anew at its end.")
    owned_by: OwningColumn | None = Field(None, description="The column it goes with; `null` for none.")

    @model_validator(mode="after")
    def _moves(self) -> SequenceOptions:
        if self.increment == 0:
            raise ValueError("`increment` is not 0: the sequence would give one number for ever")
        return self

    def clauses(self, context: Context) -> list[sql.Composable]:
        """As CREATE and ALTER SEQUENCE take them, those that are named."""
        found: list[sql.Composable] = []
        if self.type is not None:
            found.append(trusted(f"AS {self.type}"))
        words = {"INCREMENT BY": self.increment, "MINVALUE": self.minimum, "MAXVALUE": self.maximum,
                 "START WITH": self.start, "CACHE": self.cache}  # fmt: skip
        found += [trusted(f"{word} {value}") for word, value in words.items() if value is not None]
        if self.cycle is not None:
            found.append(sql.SQL("CYCLE" if self.cycle else "NO CYCLE"))
        if "owned_by" in self.model_fields_set:
            found.append(self._owned(context))
        return found

    def _owned(self, context: Context) -> sql.Composable:
        if self.owned_by is None:
            return sql.SQL("OWNED BY NONE")
        table = context.table(self.owned_by.table, "owned_by", "table")
        column = context.column(table, self.owned_by.column, "owned_by", "column")
        if table.name.schema != context.name(self.sequence).schema:
            context.refuse(
                f"{table.name} is in another schema than {context.name(self.sequence)}",
                why="PostgreSQL lets a column own a sequence of its own schema only",
                at=("owned_by",),
            )
        return sql.SQL("OWNED BY {}").format(sql.Identifier(table.name.schema, table.name.name, column.name))


def found_sequence(context: Context, written: str) -> Sequence:
    """The sequence; refuses a name that none has, and that of an identity column."""
    name, catalog = context.name(written), context.catalog
    found = catalog.sequences.get(name)
    if found is None:
        refuse_missing(context, "sequence", name, catalog.sequences, "sequence")
    if found.owned_by is not None:
        table, column = found.owned_by
        if table in catalog.tables and catalog.tables[table].by_name[column].identity:
            context.refuse(
                f"sequence {name} is that of the identity column {table}.{column}",
                why="it is a part of the column, and comes and goes with it",
                fix="change the column instead",
                at=("sequence",),
            )
    return found


def altered(sequence: Sequence, clauses: sql.Composable) -> sql.Composable:
    return sql.SQL("ALTER SEQUENCE {} {}").format(identifier(sequence.name), clauses)
