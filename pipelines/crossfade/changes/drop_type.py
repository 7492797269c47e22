"""drop_type: an enum, a domain or a composite type that nothing uses any more."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from crossfade.catalog.model import Composite, Domain, Enum, Name
from crossfade.changes._change import Change, Compiled, Hazard
from crossfade.changes._context import Context
from crossfade.changes._created import refuse_missing
from crossfade.changes._instant import instant
from crossfade.composing import sql
from crossfade.spec.values import Identifier
from crossfade.steps.compose import identifier
from crossfade.steps.step import stage_leg
from crossfade.steps.types import made_again


class DropType(Change):
    """Drop a type: an enum, a domain or a composite type.

    In the stage `drop`, without CASCADE. What uses it is found when planning and refused by name.

    ## Old and new versions

    From `drop` on a statement that names the type, in a cast say, fails: let a gate hold `drop` back until no version
    names it.

    ## Undo

    Makes the type again, with its values or rules, owner, comment and grants.

    ## Locks

    None on any table.

    ## Hazards

    Columns, functions, defaults, views, other types and whatever else uses the type or arrays of it are refused by
    name, but for columns of a table that a [drop_table](drop_table.md) above this change takes away.

    ## Example

    ```yaml
    changes:
      - drop_type: {type: order_status}
    ```
    """

    type: Identifier = Field(description="The type's name, in the `schema` of the database, or `schema.name`.")

    def compile(self, context: Context) -> Compiled:
        """One statement in drop."""
        catalog, name = context.catalog, context.name(self.type)
        known: Mapping[Name, Enum | Domain | Composite] = {**catalog.enums, **catalog.domains, **catalog.composites}
        found = known.get(name)
        if found is None:
            refuse_missing(context, "an enum, domain or composite type", name, known, "type")
        dropped = {(table.schema, table.name) for table in context.dropped}
        if used := [use for use in found.uses if use.path[:2] not in dropped]:
            context.refuse(
                f"{name} is used by {', '.join(map(str, used))}",
                why="it would hinder the drop, and nothing is dropped by CASCADE",
                fix="change or drop it first, in a migration that comes before",
                at=("type",),
            )
        word = sql.SQL("DOMAIN" if isinstance(found, Domain) else "TYPE")
        step = instant(
            context,
            stage_leg("drop"),
            f"{name}/drop/type",
            f"drop type {name}",
            [sql.SQL("DROP {} {}").format(word, identifier(name))],
            list(made_again(found, maker=catalog.role.name)),
            "make the type again",
        )
        fails = f"from drop on a statement that names the type {name} fails"
        return Compiled(steps=(step,), hazards=(Hazard("name-goes", "warning", fails, "let a gate hold drop back"),))
