"""What a column that is changed shall be, and the names of the rules it gets."""

from __future__ import annotations

from pydantic import Field, field_validator, model_validator

from crossfade.catalog.model import Table
from crossfade.catalog.parts import Identity
from crossfade.changes._context import Context
from crossfade.changes._foreign_key import Action, Bound, ForeignKey, References, bound
from crossfade.changes._obstacles import rule_name
from crossfade.spec.fragment import Expression, TypeName
from crossfade.spec.values import Identifier, SpecModel
from crossfade.steps.rows import CheckRule, UniqueRule
from crossfade.steps.rules import Place


class Refers(SpecModel):
    """The parent of a foreign key from the column."""

    table: Identifier = Field(description="The parent.")
    column: Identifier | None = Field(None, description="The parent's column, when it is not its primary key.")
    on_delete: Action = Field("no action", description="What a delete of the parent's row does to rows that refer.")
    on_update: Action = Field("no action", description="What an update of the parent's key does to them.")
    deferrable: bool = Field(False, description="A transaction may have it checked at its end.")
    initially_deferred: bool = Field(False, description="Every transaction has it checked at its end, unless it asks.")

    @model_validator(mode="after")
    def _goes_together(self) -> Refers:
        if self.initially_deferred and not self.deferrable:
            raise ValueError("`initially_deferred` needs `deferrable: true`")
        return self

    def of(self, column: str) -> ForeignKey:
        return ForeignKey(
            columns=(column,),
            references=References(table=self.table, columns=(self.column,) if self.column else ()),
            on_delete=self.on_delete,
            on_delete_columns=(),
            match="simple",
            on_update=self.on_update,
            deferrable=self.deferrable,
            initially_deferred=self.initially_deferred,
        )


class Target(SpecModel):
    """What the column shall be; what is not named stays."""

    name: Identifier | None = Field(
        None, description="Another name: old and new version then use each their own, until the old one is hidden."
    )
    type: TypeName | None = Field(None, description="As in SQL.", examples=["bigint", "timestamptz"])
    collation: Identifier | None = Field(
        None, description="The collation's name, or `schema.name`.", examples=["C", "nb-NO-x-icu"]
    )
    nullable: bool | None = Field(None, description="Whether it may be NULL.")
    default: Expression | None = Field(
        None, description="SQL; `null` takes the default away; when it is not given, the old default stays as it is."
    )
    check: Expression | None = Field(
        None,
        description="SQL over the new row; the constraint is called `<table>_<column>_check`. `null` takes the checks"
        " over this column alone away.",
    )
    unique: bool | None = Field(
        None, description="`true` adds the constraint `<table>_<column>_key`; `false` is refused."
    )
    references: Refers | None = Field(
        None, description="Adds the foreign key `<table>_<column>_fkey`: its values stand in another table."
    )
    identity: Identity | None = Field(
        None, description="Numbers made by the server; a sequence of the column's own (`serial`) goes on as its."
    )
    comment: str | None = Field(None, description="Its comment; `null` takes it away.")

    @field_validator("unique")
    @classmethod
    def _takes_no_rule_away(cls, value: bool | None) -> bool | None:
        if value is False:
            raise ValueError("a rule is not taken away like this; drop the constraint with `drop_constraint`")
        return value

    @model_validator(mode="after")
    def _says_something(self) -> Target:
        if not self.model_fields_set:
            raise ValueError("`to` must say what changes")
        if self.identity is not None and self.default is not None:
            raise ValueError("give `identity` or `default`: an identity is a default")
        return self

    @property
    def names_default(self) -> bool:
        """A default is given, or the one there is taken away."""
        return "default" in self.model_fields_set

    def dropped_checks(self, table: Table, column: str) -> tuple[str, ...]:
        """The checks over the column alone, where they are taken away."""
        if "check" not in self.model_fields_set or self.check is not None:
            return ()
        return tuple(c.name for c in table.constraints if c.kind == "check" and set(c.columns) == {column})

    @property
    def names_comment(self) -> bool:
        return "comment" in self.model_fields_set

    def check_name(self, table: Table, column: str) -> str:
        return rule_name(table.name.name, column, "check")

    def key_name(self, table: Table, column: str) -> str:
        return rule_name(table.name.name, column, "key")

    def foreign_key_name(self, table: Table, column: str) -> str:
        return rule_name(table.name.name, column, "fkey")

    def foreign_key(self, context: Context, table: Table, place: Place, column: str) -> Bound | None:
        """What `references` adds. context: of the change. column: by its name in the end."""
        if self.references is None:
            return None
        name, key = self.foreign_key_name(table, column), self.references.of(column)
        return bound(context.within("to"), table, place, name, key)

    def wants_unique(self, table: Table, column: str) -> bool:
        """No index sees to it yet."""
        held = any(index.unique and index.valid and index.columns == (column,) for index in table.indexes)
        return bool(self.unique) and not held

    def checks(self, table: Table, column: str) -> tuple[CheckRule, ...]:
        """The check as a rule over the new row."""
        return (CheckRule(self.check_name(table, column), self.check),) if self.check is not None else ()

    def uniques(self, table: Table, column: str) -> tuple[UniqueRule, ...]:
        return (UniqueRule(self.key_name(table, column), (column,)),) if self.wants_unique(table, column) else ()
