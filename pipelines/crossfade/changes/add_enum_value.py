"""add_enum_value: a word more."""

from __future__ import annotations

from pydantic import Field, model_validator

from crossfade.changes._change import Change, Compiled, Hazard
from crossfade.changes._context import Context
from crossfade.changes._enum import Word, found_enum, refuse_unknown_value
from crossfade.composing import sql
from crossfade.spec.values import Identifier
from crossfade.steps.compose import identifier, text
from crossfade.steps.step import EXPAND, Ddl


class AddEnumValue(Change):
    """Add a value to an enum.

    In the catalog alone, in expand. It stands last unless `before` or `after` says where. Where the enum has the value
    already, there is nothing to do.

    ## Old and new versions

    The new version may write the value when expand has ended. The old version then reads it, and must not stumble over
    a word that it does not know: teach it the word first, or let the new version hold it back until the old one is
    gone.

    ## Undo

    The value stays. PostgreSQL takes none away, and while no row holds it, it does no harm; `drop_enum_value` rebuilds
    the type without it.

    ## Locks

    None on any table.

    ## Hazards

    - `value-stays`: a rollback leaves the value in the type.

    PostgreSQL lets nobody use the value before the transaction that adds it has ended, so each value has a transaction
    of its own. A default, a check or a condition that names it comes with a migration that has this one under `after`.

    ## Example

    ```yaml
    changes:
      - add_enum_value: {enum: order_status, value: returned, after: shipped}
    ```
    """

    enum: Identifier = Field(description="The enum's name, in the `schema` of the database, or `schema.name`.")
    value: Word = Field(description="The new word.")
    before: Word | None = Field(None, description="The word it comes before; default: it stands last.")
    after: Word | None = Field(None, description="The word it comes after.")

    @model_validator(mode="after")
    def _one_place(self) -> AddEnumValue:
        if self.before is not None and self.after is not None:
            raise ValueError("give `before` or `after`, not both")
        return self

    def compile(self, context: Context) -> Compiled:
        """One statement, unless the value is there."""
        enum = found_enum(context, self.enum)
        if self.value in enum.values:
            return Compiled(hazards=(Hazard("already-there", "note", f"{enum.name} has the value {self.value}"),))
        neighbour = self.before or self.after
        place = sql.SQL("")
        if neighbour is not None:
            refuse_unknown_value(context, enum, neighbour, "before" if self.before else "after")
            place = sql.SQL(" BEFORE {}" if self.before else " AFTER {}").format(sql.Literal(neighbour))
        step = Ddl(
            id=f"{enum.name}/value/{self.value}/add",
            leg=EXPAND,
            database=context.database,
            title=f"add the value {self.value} to {enum.name}",
            statements=text(
                sql.SQL("ALTER TYPE {} ADD VALUE IF NOT EXISTS {}{}").format(
                    identifier(enum.name), sql.Literal(self.value), place
                )
            ),
            undo_title="none: PostgreSQL takes no value away, and it does no harm",
        )
        stays = Hazard(
            "value-stays",
            "note",
            f"a rollback leaves {self.value} in {enum.name}, for PostgreSQL takes no value away",
            "drop_enum_value rebuilds the type without it",
        )
        return Compiled(steps=(step,), hazards=(stays,))
