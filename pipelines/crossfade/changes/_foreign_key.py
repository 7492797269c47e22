"""A foreign key as a spec says it, and what PostgreSQL asks of both of its tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator

from crossfade.catalog.model import Constraint, Name, Table
from crossfade.changes._change import Need
from crossfade.changes._context import Context, Path
from crossfade.changes._partitions import refuse_foreign_partitions
from crossfade.changes._parts import made_constraint
from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.spec.values import Identifier, SpecModel
from crossfade.steps.compose import identifier, names, relation
from crossfade.steps.references import ReferringKey, foreign_key
from crossfade.steps.rules import Place, Rule

Action = Literal["no action", "restrict", "cascade", "set null", "set default"]


class References(SpecModel):
    """The parent of a foreign key."""

    table: Identifier = Field(description="The parent.")
    columns: tuple[Identifier, ...] = Field((), description="The parent's columns, when they are not its primary key.")


class ForeignKey(SpecModel):
    """Columns whose values must stand in another table."""

    columns: Annotated[tuple[Identifier, ...], Field(min_length=1)] = Field(description="The columns that refer.")
    references: References = Field(description="What they refer to.")
    on_delete: Action = Field(
        "no action", description="What a delete of the parent's row does to rows that refer to it."
    )
    on_delete_columns: tuple[Identifier, ...] = Field(
        (), description="With `on_delete: set null` or `set default`: only these of the columns (PostgreSQL 15)."
    )
    on_update: Action = Field("no action", description="What an update of the parent's key does to them.")
    match: Literal["simple", "full"] = Field(
        "simple", description="`full`: of several columns either all are NULL or none is."
    )
    deferrable: bool = Field(False, description="A transaction may have it checked at its end.")
    initially_deferred: bool = Field(False, description="Every transaction has it checked at its end, unless it asks.")

    @model_validator(mode="after")
    def _goes_together(self) -> ForeignKey:
        if self.initially_deferred and not self.deferrable:
            raise ValueError("`initially_deferred` needs `deferrable: true`")
        if self.on_delete_columns and self.on_delete not in ("set null", "set default"):
            raise ValueError("`on_delete_columns` says something of `on_delete: set null` and `set default` only")
        if strange := [column for column in self.on_delete_columns if column not in self.columns]:
            raise ValueError(f"`on_delete_columns` names {strange[0]}, which is not among `columns`")
        return self

    def tail(self, physical: Mapping[str, str]) -> str:
        """What stands behind the parent's columns. physical: what its own columns are called at the moment."""
        clauses = ["MATCH FULL"] if self.match == "full" else []
        clauses.append(f"ON DELETE {self.on_delete.upper()}")
        if self.on_delete_columns:
            set_ = names(physical.get(column, column) for column in self.on_delete_columns)
            clauses.append(sql.SQL("({})").format(set_).as_string(None))
        clauses.append(f"ON UPDATE {self.on_update.upper()}")
        return " ".join([*clauses, *deferral(self.deferrable, self.initially_deferred)])

    def refuse_old_server(self, context: Context, *at: str | int) -> None:
        version = context.catalog.server.version // 10000
        if self.on_delete_columns and version < 15:
            context.refuse(
                f"`on_delete_columns` needs PostgreSQL 15, and {context.database} runs {version}",
                why="before, all columns of the key are set",
                fix="leave it out, or set the one column with a trigger of your own",
                at=(*at, "on_delete_columns"),
            )

    def made(self, name: str, parent: Name, referenced: tuple[str, ...]) -> Constraint:
        """The constraint as the catalog will have it."""
        definition = sql.SQL("FOREIGN KEY ({}) REFERENCES {} ({}) {}").format(
            names(self.columns), identifier(parent), names(referenced), trusted(self.tail({}))
        )
        return made_constraint(
            name,
            "foreign_key",
            self.columns,
            definition.as_string(None),
            deferrable=self.deferrable,
            references=parent,
            referenced_columns=referenced,
        )


def deferral(deferrable: bool, initially_deferred: bool) -> list[str]:
    """When a constraint is checked, as SQL says it."""
    return ["DEFERRABLE"] * deferrable + ["INITIALLY DEFERRED"] * initially_deferred


@dataclass(frozen=True)
class Bound:
    """A foreign key that is added: by what steps, what it will be, and what it would be lost with."""

    rule: Rule
    made: Constraint
    needs: tuple[Need, ...]


def bound(context: Context, table: Table, place: Place, name: str, key: ForeignKey) -> Bound:
    """It is added NOT VALID, then proved. context: its paths begin in the mapping that says the key."""
    key.refuse_old_server(context)
    parent = context.table(key.references.table, "references", "table")
    referenced = key.references.columns or primary_key(context, parent)
    columns = tuple(context.physical(table, column, "columns") for column in key.columns)
    for column in referenced:
        context.column(parent, column, "references", "columns")
    refuse_unpaired(context, key, referenced, context.new_row_types(table), Parent.of(parent), at=())
    refuse_foreign_partitions(context, table)
    referring = ReferringKey(
        columns,
        relation(parent.name),
        referenced,
        types=tuple(parent.by_name[column].type for column in referenced),
        tail=key.tail(dict(zip(key.columns, columns, strict=True))),
        full=key.match == "full",
        locked=not context.is_new(parent),
    )
    rule = foreign_key(place, name, referring, subject=name)
    needs = (
        *context.needs(table, key.columns),
        *(Need(parent.name, name, follows=False, as_key=True) for name in referenced),
    )
    return Bound(rule, key.made(name, parent.name, referenced), needs)


@dataclass(frozen=True)
class Parent:
    """What a foreign key points at: the types of its columns, and the sets of columns that a unique rule holds."""

    name: Name
    row: Mapping[str, str]
    keys: tuple[frozenset[str], ...]

    @classmethod
    def of(cls, table: Table) -> Parent:
        deferrable = {constraint.name for constraint in table.constraints if constraint.deferrable}
        keys = (
            frozenset(index.columns)
            for index in table.indexes
            if index.unique and index.valid and index.predicate is None and index.constraint not in deferrable
        )
        return cls(table.name, {column.name: column.type for column in table.columns}, tuple(keys))


def primary_key(context: Context, parent: Table) -> tuple[str, ...]:
    """The columns that a foreign key references when it names none."""
    keys = [constraint.columns for constraint in parent.constraints if constraint.kind == "primary_key"]
    if not keys:
        context.refuse(f"{parent.name} has no primary key", fix="name the referenced columns")
    return keys[0]


def refuse_unpaired(
    context: Context, key: ForeignKey, referenced: tuple[str, ...], row: Mapping[str, str], parent: Parent, *, at: Path
) -> None:
    """Columns that cannot be held against the parent's: another number, no unique rule there, other types.

    row: types of the referring table. at: the path to the key.
    """
    if len(referenced) != len(key.columns):
        context.refuse(f"{len(key.columns)} columns reference {len(referenced)} of {parent.name}", at=(*at, "columns"))
    if frozenset(referenced) not in parent.keys:
        context.refuse(
            f"{parent.name} ({', '.join(referenced)}) has no unique index",
            why="a foreign key needs one on its parent's columns, over all rows and not deferrable",
            fix="add_constraint unique there first, in a migration named in `after`",
            at=(*at, "references"),
        )
    for index, (here, there) in enumerate(zip(key.columns, referenced, strict=True)):
        if not context.probe.is_compared(child=row[here], parent=parent.row[there]):
            context.refuse(
                f"{here} is {row[here]}, and {parent.name}.{there} is {parent.row[there]}",
                why="PostgreSQL makes no foreign key between types that it cannot compare by an index",
                fix=f"make {here} {parent.row[there]}: with change_column, where it is there already",
                at=(*at, "columns", index),
            )
