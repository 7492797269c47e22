"""add_constraint: a rule over existing columns, added without anybody waiting for a scan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from crossfade.catalog.model import Constraint, Table
from crossfade.changes._change import Change, Compiled, Need
from crossfade.changes._context import Context, relation
from crossfade.changes._foreign_key import ForeignKey, Parent, primary_key, refuse_unpaired
from crossfade.changes._mapping import checked
from crossfade.changes._parts import key_index, made_constraint
from crossfade.changes._ruled import ruled
from crossfade.composing import sql
from crossfade.spec.fragment import Expression
from crossfade.spec.values import Identifier
from crossfade.steps import rules
from crossfade.steps.compose import names
from crossfade.steps.keys import Key, key_rule
from crossfade.steps.references import ReferringKey, foreign_key
from crossfade.steps.rules import Place, Rule
from crossfade.steps.step import Leg, stage_leg


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
            return self._check(context, table, place, self.check)
        if self.unique is not None:
            return self._unique(context, table, place, self.unique)
        assert self.foreign_key is not None
        return self._foreign_key(context, table, place, self.foreign_key)

    def _check(self, context: Context, table: Table, place: Place, check: Expression) -> Compiled:
        bare = table.name.name
        checked(context, table, check, row=context.new_row_types(table), wanted="boolean", field="check")
        condition = check.render(bare, None, context.physical_names(table))
        rule = rules.check(place, self.name, condition, subject=self.name, shown=f"the check {self.name}")
        read = sorted(check.columns(bare))
        definition = sql.SQL("CHECK ({})").format(check.render(bare, None)).as_string(None)
        made = made_constraint(self.name, "check", read, definition)
        return self._compiled(context, table, place, rule, made, needs=context.needs(table, read))

    def _unique(self, context: Context, table: Table, place: Place, columns: tuple[str, ...]) -> Compiled:
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
        key = Key(physical, nulls_distinct=self.nulls_distinct)
        shown = f"{table.name} ({', '.join(columns)})"
        rule = key_rule(place, self.name, key, subject=self.name, shown=shown)
        definition = sql.SQL("UNIQUE ({})").format(names(columns)).as_string(None)
        made = made_constraint(self.name, "unique", columns, definition)
        return self._compiled(context, table, place, rule, made, needs=context.needs(table, columns))

    def _foreign_key(self, context: Context, table: Table, place: Place, key: ForeignKey) -> Compiled:
        key.refuse_old_server(context, "foreign_key")
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
        physical = dict(zip(key.columns, columns, strict=True))
        referring = ReferringKey(
            columns,
            relation(parent.name),
            referenced,
            types=tuple(parent.by_name[column].type for column in referenced),
            tail=key.tail(physical),
            full=key.match == "full",
            locked=not context.is_new(parent),
        )
        rule = foreign_key(place, self.name, referring, subject=self.name)
        needs = (*context.needs(table, key.columns), *(Need(parent.name, name, follows=False) for name in referenced))
        return self._compiled(context, table, place, rule, key.made(self.name, parent.name, referenced), needs=needs)

    def _compiled(
        self, context: Context, table: Table, place: Place, rule: Rule, made: Constraint, *, needs: Sequence[Need]
    ) -> Compiled:
        indexes = ((table.name, key_index(made)),) if made.index else ()
        return Compiled(
            steps=ruled(context, place, [rule]),
            constraints=((table.name, made),),
            indexes=indexes,
            needs=tuple(needs),
        )
