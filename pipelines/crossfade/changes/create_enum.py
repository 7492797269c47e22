"""create_enum: a new type whose values are words."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from crossfade.catalog.model import Enum
from crossfade.changes._change import Change, Compiled
from crossfade.changes._context import Context
from crossfade.changes._created import made, new_name, usable_by_all
from crossfade.changes._enum import Word
from crossfade.spec.values import Identifier
from crossfade.steps.types import made_enum


class CreateEnum(Change):
    """Create an enum.

    A type whose values are the words given, in this order. Changes below this one may make columns of it.

    ## Old and new versions

    The new version may use the type when expand has ended; the old one does not know it.

    ## Undo

    Drops the type. PostgreSQL refuses that while something uses it, and the rollback says what.

    ## Locks

    None on any table.

    ## Hazards

    A name that a type, table, view or sequence has is refused, for a table is a type too.

    When changes stand below it, planning makes the type in a transaction that is rolled back, to ask PostgreSQL what
    they mean by it: the role that plans needs CREATE on the schema, on a server that takes writes.

    ## Example

    ```yaml
    changes:
      - create_enum:
          enum: order_status
          values: [draft, paid, shipped]
          comment: how far an order has got
    ```
    """

    enum: Identifier = Field(description="Its name, in the `schema` of the database, or `schema.name`.")
    values: Annotated[tuple[Word, ...], Field(min_length=1)] = Field(description="The words, in their order.")
    comment: str | None = Field(None, description="What is told of it.")

    @field_validator("values")
    @classmethod
    def _are_distinct(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if twice := next((value for value in values if values.count(value) > 1), None):
            raise ValueError(f"`{twice}` stands there twice")
        return values

    def compile(self, context: Context) -> Compiled:
        """One statement in expand."""
        name = new_name(context, self.enum, "enum")
        type_ = Enum(name, self.values, context.catalog.role.name, usable_by_all(context))
        return made(context, name, "TYPE", [made_enum(name, self.values)], self.comment, type_)
