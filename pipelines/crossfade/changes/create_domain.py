"""create_domain: a type with rules of its own."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from crossfade.changes._change import Change, Compiled
from crossfade.changes._context import Context
from crossfade.changes._created import made, new_name
from crossfade.changes._mapping import expect
from crossfade.composing import sql
from crossfade.spec.fragment import Expression, TypeName, trusted
from crossfade.spec.values import Identifier
from crossfade.steps.compose import identifier


class CreateDomain(Change):
    """Create a domain.

    A type over another one, with rules that every value must keep. A rule names the value as VALUE.

    ## Old and new versions

    The new version may use the domain when expand has ended; the old one does not know it.

    ## Undo

    Drops the domain. PostgreSQL refuses that while something uses it, and the rollback says what.

    ## Locks

    None on any table.

    ## Hazards

    A column of a domain with rules makes PostgreSQL rewrite its table, so `add_column` and `change_column` refuse it:
    give the column the plain type and the rules as `check` and `nullable` there. New tables may have such columns.

    ## Example

    ```yaml
    changes:
      - create_domain:
          domain: email
          type: text
          checks: {has_an_at: "VALUE LIKE '%@%'"}
    ```
    """

    domain: Identifier = Field(description="Its name, in the `schema` of the database, or `schema.name`.")
    type: Annotated[TypeName, Field(min_length=1)] = Field(description="The type it is over, as SQL spells it.")
    nullable: bool = Field(True, description="Whether NULL is a value of it.")
    default: Expression | None = Field(None, description="SQL; of columns that have no default of their own.")
    checks: dict[Identifier, Expression] = Field(
        default_factory=dict[str, Expression], description="Rules over VALUE, by name."
    )
    comment: str | None = Field(None, description="What is told of it.")

    def compile(self, context: Context) -> Compiled:
        """One statement in expand."""
        name = new_name(context, self.domain, "domain")
        with context.at("type"):
            over = context.probe.type(self.type)
        clauses: list[sql.Composable] = [trusted(over)]
        if self.default is not None:
            with context.at("default"):
                expect(context, self.default, table=name.name, row={}, wanted=over, field="default")
            clauses.append(trusted(f"DEFAULT ({self.default})"))
        if not self.nullable:
            clauses.append(sql.SQL("NOT NULL"))
        for rule, condition in self.checks.items():
            refuse_unsound(context, condition, over, "checks", rule)
            clauses.append(sql.SQL("CONSTRAINT {} CHECK ({})").format(sql.Identifier(rule), trusted(str(condition))))
        statement = sql.SQL("CREATE DOMAIN {} AS {}").format(identifier(name), sql.SQL(" ").join(clauses))
        return made(context, name, "DOMAIN", [statement], self.comment)


def refuse_unsound(context: Context, condition: Expression, over: str, *at: str) -> None:
    """What PostgreSQL would refuse as a rule over VALUE when it is made."""
    with context.at(*at):
        expect(context, condition, table="domain", row={"value": over}, wanted="boolean", field=f"check {at[-1]}")
