"""What a column that is changed shall be, and the names of the rules it gets."""

from __future__ import annotations

from pydantic import Field, field_validator, model_validator

from crossfade.catalog.model import Table
from crossfade.changes._obstacles import rule_name
from crossfade.spec.fragment import Expression, TypeName
from crossfade.spec.values import Identifier, SpecModel
from crossfade.steps.rows import CheckRule, UniqueRule


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

    def wants_unique(self, table: Table, column: str) -> bool:
        """No index sees to it yet."""
        held = any(index.unique and index.valid and index.columns == (column,) for index in table.indexes)
        return bool(self.unique) and not held

    def checks(self, table: Table, column: str) -> tuple[CheckRule, ...]:
        """The check as a rule over the new row."""
        return (CheckRule(self.check_name(table, column), self.check),) if self.check is not None else ()

    def uniques(self, table: Table, column: str) -> tuple[UniqueRule, ...]:
        return (UniqueRule(self.key_name(table, column), (column,)),) if self.wants_unique(table, column) else ()
