"""add_constraint: check, unique or foreign key over existing columns, without anybody waiting for a scan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator

from crossfade.catalog.model import Name, Table
from crossfade.changes._change import Change, Compiled, Hazard, Need
from crossfade.changes._context import Context, Path, relation
from crossfade.changes._mapping import checked
from crossfade.changes._ruled import ruled
from crossfade.spec.fragment import Expression
from crossfade.spec.values import Identifier, SpecModel
from crossfade.steps import rules
from crossfade.steps.rules import Place, Rule
from crossfade.steps.step import Leg, stage_leg

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
    on_update: Action = Field("no action", description="What an update of the parent's key does to them.")
    deferrable: bool = Field(False, description="A transaction may have it checked at its end.")


class AddConstraint(Change):
    """Add a check, a unique constraint or a foreign key.

    It is over columns that exist, or that an earlier change of the migration brings. Rows that break the rule are
    counted first, and the phase stops until they are mended. Then the rule is added as NOT VALID (or its index is
    built concurrently), which binds new rows, and proved over the old ones.

    ## Old and new versions

    The rule binds both versions from where `enforce` says: `validate`, or with `contract` the stage `tighten`, when
    the old version is gone. Until the stage `cutover` it bears a name that begins with `_cf_<migration>`, so that a
    write it refuses says why.

    ## Undo

    Drops the constraint.

    ## Locks

    SHARE ROW EXCLUSIVE (foreign key, on both tables) or ACCESS EXCLUSIVE (check, unique), for an instant. The proof
    over existing rows and the build of an index let reads and writes go on.

    ## Hazards

    Writes of the old version that break the rule fail from where it binds. A foreign key between types that
    PostgreSQL cannot compare, or to columns without a unique rule, is refused when planned.

    ## Example

    ```yaml
    changes:
      - create_index: {table: orders, name: orders_customer_id, columns: [customer_id]}
      - add_constraint:
          table: orders
          name: orders_customer_fkey
          foreign_key: {columns: [customer_id], references: {table: customers}, on_delete: restrict}
      - add_constraint: {table: orders, name: orders_total_positive, check: total > 0, enforce: contract}
      - add_constraint: {table: orders, name: orders_number_key, unique: [number]}
    ```
    """

    table: Identifier = Field(description="The table, or `schema.table`.")
    name: Identifier = Field(description="The name it has in the end.")
    check: Expression | None = Field(None, description="SQL over the row.")
    unique: Annotated[tuple[Identifier, ...], Field(min_length=1)] | None = Field(
        None, description="Columns whose values no two rows share."
    )
    nulls_distinct: bool = Field(
        True, description="With `unique`; `false` is NULLS NOT DISTINCT (PostgreSQL 15 and later)."
    )
    foreign_key: ForeignKey | None = Field(None, description="Columns whose values stand in another table.")
    enforce: Literal["validate", "contract"] | None = Field(
        None, description="From when it binds old writers, when that is not as the migration says."
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> AddConstraint:
        if sum(rule is not None for rule in (self.check, self.unique, self.foreign_key)) != 1:
            raise ValueError("give exactly one of `check`, `unique` and `foreign_key`")
        if not self.nulls_distinct and self.unique is None:
            raise ValueError("`nulls_distinct` says something of `unique` only")
        return self

    def compile(self, context: Context) -> Compiled:
        """The rule's steps in the leg where it is enforced."""
        table = context.table(self.table)
        if any(constraint.name == self.name for constraint in table.constraints):
            context.refuse(f"constraint {self.name} exists already on {table.name}", at=("name",))
        legs = {"validate": Leg(phase="validate"), "contract": stage_leg("tighten"), None: context.rules_leg}
        place = context.place(table, legs[self.enforce])
        if self.check is not None:
            checked(context, table, self.check, row=context.new_row_types(table), wanted="boolean", field="check")
            condition = self.check.render(table.name.name, None, context.physical_names(table))
            shown = f"the check {self.name}"
            rule = rules.check(place, self.name, condition, subject=self.name, shown=shown)
            needs = context.needs(table, sorted(self.check.columns(table.name.name)))
            return Compiled(steps=ruled(context, place, [rule]), needs=needs)
        if self.unique is not None:
            rule = self._unique(context, table, place, self.unique)
            return Compiled(steps=ruled(context, place, [rule]), needs=context.needs(table, self.unique))
        assert self.foreign_key is not None
        return self._foreign_key(context, table, place, self.foreign_key)

    def _unique(self, context: Context, table: Table, place: Place, columns: tuple[str, ...]) -> Rule:
        physical = tuple(context.physical(table, column, "unique") for column in columns)
        row = context.new_row_types(table)
        for index, column in enumerate(columns):
            with context.at("unique", index):
                context.probe.key(row[column])
        if not self.nulls_distinct:
            context.refuse_old_server()
        if table.kind == "partitioned":
            context.refuse(
                f"{table.name} is partitioned",
                why="PostgreSQL builds no index on a partitioned table concurrently",
                fix="add the unique index to each partition with `sql` changes",
            )
        shown = f"{table.name} ({', '.join(columns)})"
        return rules.unique(
            place, self.name, physical, subject=self.name, shown=shown, nulls_distinct=self.nulls_distinct
        )

    def _foreign_key(self, context: Context, table: Table, place: Place, key: ForeignKey) -> Compiled:
        parent = context.table(key.references.table, "foreign_key", "references", "table")
        referenced = key.references.columns or primary_key(context, parent)
        columns = tuple(context.physical(table, column, "foreign_key", "columns") for column in key.columns)
        for column in referenced:
            context.column(parent, column, "foreign_key", "references", "columns")
        row = context.new_row_types(table)
        refuse_unpaired(context, key, referenced, row, Parent.of(parent), at=("foreign_key",))
        if table.kind == "partitioned":
            context.refuse(
                f"{table.name} is partitioned", why="PostgreSQL takes no NOT VALID foreign key on a partitioned table"
            )
        actions = f"ON DELETE {key.on_delete.upper()} ON UPDATE {key.on_update.upper()}"
        rule = rules.foreign_key(
            place,
            self.name,
            columns,
            relation(parent.name),
            referenced,
            types=tuple(parent.by_name[column].type for column in referenced),
            actions=actions + (" DEFERRABLE" if key.deferrable else ""),
            subject=self.name,
        )
        hazards: list[Hazard] = []
        if not any(index.columns[: len(columns)] == columns for index in table.indexes if index.valid):
            hazards.append(
                Hazard(
                    "foreign-key-without-index",
                    "warning",
                    f"{table.name} ({', '.join(key.columns)}) has no index: every DELETE in {parent.name} scans it",
                    "add create_index over these columns to this migration",
                )
            )
        needs = (*context.needs(table, key.columns), *(Need(parent.name, name, follows=False) for name in referenced))
        return Compiled(steps=ruled(context, place, [rule]), hazards=tuple(hazards), needs=needs)


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
