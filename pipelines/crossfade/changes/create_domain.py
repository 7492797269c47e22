"""create_domain: a type with rules of its own."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from crossfade.catalog.model import Domain
from crossfade.changes._change import Change, Compiled
from crossfade.changes._context import Context
from crossfade.changes._created import made, new_name, usable_by_all
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

    When changes stand below it, planning makes the type in a transaction that is rolled back, to ask PostgreSQL what
    they mean by it: the role that plans needs CREATE on the schema, on a server that takes writes.

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
        type_ = Domain(
            name=name,
            type=over,
            not_null=not self.nullable,
            default=f"({self.default})" if self.default is not None else None,
            collation=None,
            constraints=tuple((rule, f"CHECK ({condition})") for rule, condition in self.checks.items()),
            owner=context.catalog.role.name,
            grants=usable_by_all(context),
        )
        return made(context, name, "DOMAIN", [statement], self.comment, type_)


def refuse_unsound(context: Context, condition: Expression, over: str, *at: str) -> None:
    """What PostgreSQL would refuse as a rule over VALUE when it is made."""
    with context.at(*at):
        expect(context, condition, table="domain", row={"value": over}, wanted="boolean", field=f"check {at[-1]}")
