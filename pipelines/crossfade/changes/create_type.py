"""create_type: a type of several attributes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from crossfade.catalog.model import Composite
from crossfade.changes._change import Change, Compiled
from crossfade.changes._context import Context
from crossfade.changes._created import made, new_name, usable_by_all
from crossfade.composing import sql
from crossfade.spec.fragment import TypeName, trusted
from crossfade.spec.values import Identifier, SpecModel
from crossfade.steps.compose import identifier


class Attribute(SpecModel):
    """An attribute of a composite type."""

    name: Identifier = Field(description="Its name.")
    type: Annotated[TypeName, Field(min_length=1)] = Field(description="Its type, as SQL spells it.")


class CreateType(Change):
    """Create a composite type.

    A type whose values have several attributes, as a row has columns; for what functions take or give, say. For words
    there is [create_enum](create_enum.md), for rules over one value [create_domain](create_domain.md).

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
      - create_type:
          type: money_amount
          attributes:
            - {name: amount, type: "numeric(12,2)"}
            - {name: currency, type: text}
    ```
    """

    type: Identifier = Field(description="Its name, in the `schema` of the database, or `schema.name`.")
    attributes: Annotated[tuple[Attribute, ...], Field(min_length=1)] = Field(description="In their order.")
    comment: str | None = Field(None, description="What is told of it.")

    def compile(self, context: Context) -> Compiled:
        """One statement in expand."""
        name = new_name(context, self.type, "type")
        parts: list[sql.Composable] = []
        seen: set[str] = set()
        for index, attribute in enumerate(self.attributes):
            with context.at("attributes", index, "type"):
                spelled = context.probe.type(attribute.type)
            if attribute.name in seen:
                context.refuse(f"{name} has two attributes {attribute.name}", at=("attributes", index, "name"))
            seen.add(attribute.name)
            parts.append(sql.SQL("{} {}").format(sql.Identifier(attribute.name), trusted(spelled)))
        statement = sql.SQL("CREATE TYPE {} AS ({})").format(identifier(name), sql.SQL(", ").join(parts))
        attributes = tuple(part.as_string(None) for part in parts)
        type_ = Composite(name, attributes, context.catalog.role.name, usable_by_all(context))
        return made(context, name, "TYPE", [statement], self.comment, type_)
