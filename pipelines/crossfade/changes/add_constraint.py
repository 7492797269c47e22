"""add_constraint: a rule over existing columns, added without anybody waiting for a scan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from crossfade.catalog.model import Constraint, Table
from crossfade.changes._change import Change, Compiled, Hazard, Need
from crossfade.changes._context import Context
from crossfade.changes._exclude import Exclude, blocked_while_built, exclusion
from crossfade.changes._foreign_key import ForeignKey, bound, deferral
from crossfade.changes._keys import at_once_while_built, key_of, made_key
from crossfade.changes._mapping import checked
from crossfade.changes._obstacles import refuse_taken_relation
from crossfade.changes._parts import key_index, made_constraint
from crossfade.changes._ruled import ruled
from crossfade.composing import sql
from crossfade.spec.fragment import Expression
from crossfade.spec.values import Identifier
from crossfade.steps import rules
from crossfade.steps.keys import key_rule
from crossfade.steps.rules import Place, Rule
from crossfade.steps.step import Leg, stage_leg


class AddConstraint(Change):
    """Add a check, a unique rule, a primary key, a foreign key or an exclusion constraint.

    It is over columns that exist, or that an earlier change of the migration brings. Rows that break the rule are
    counted first, and the phase stops until they are mended. Then the rule is added as NOT VALID (or its index is
    built concurrently), which binds new rows, and proved over the old ones. Partitioned tables are done partition by
    partition. A primary key makes its columns NOT NULL, which is proved the same way.

    An exclusion constraint cannot be added like this: PostgreSQL builds its index while nobody reads or writes. So it
    is for a table that the same migration makes, or one that is empty (which is asked again under the lock), or with
    `accept_blocking: true`.

    ## Old and new versions

    The rule binds both versions from where `enforce` says: `validate`, or with `contract` the stage `tighten`, when
    the old version is gone. Until the stage `cutover` it bears a name that begins with `_cf_<migration>`, so that a
    write it refuses says why.

    ## Undo

    Drops the constraint; columns that a primary key made NOT NULL may be NULL again.

    ## Locks

    SHARE ROW EXCLUSIVE (foreign key, on both tables) or ACCESS EXCLUSIVE (the others), for an instant. The proof over
    existing rows and the build of an index let reads and writes go on. With `accept_blocking`, ACCESS EXCLUSIVE for as
    long as the index is built. On a table that the same migration makes, it is plain DDL in expand.

    ## Hazards

    - Writes of the old version that break the rule fail from where it binds.
    - `foreign-key-without-index`: no index begins with the columns of a foreign key, so that each delete of a parent
      scans the table; the fix is the `create_index` to add.
    - `not-deferred-while-built`: a deferrable key is not deferred while its index is built.
    - `blocked-while-built`: what `accept_blocking` accepts, with the table's size.

    Refused when planned: a foreign key between types that PostgreSQL cannot compare, or to columns without a unique
    rule; a unique rule of a partitioned table that leaves the partition key out; an exclusion constraint on a table
    with rows, or on a partitioned one; a second primary key.

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
    primary_key: Annotated[tuple[Identifier, ...], Field(min_length=1)] | None = Field(
        None, description="Columns that tell rows apart; they are made NOT NULL, proved without a lock."
    )
    include: tuple[Identifier, ...] = Field(
        (), description="With `unique` or `primary_key`: columns that are only kept in its index."
    )
    foreign_key: ForeignKey | None = Field(None, description="Columns whose values stand in another table.")
    exclude: Exclude | None = Field(None, description="No two rows for which every comparison gives true.")
    accept_blocking: bool = Field(
        False, description="With `exclude`: nobody may read or write the table while its index is built."
    )
    deferrable: bool = Field(
        False, description="With `unique`, `primary_key` or `exclude`: a transaction may have it checked at its end."
    )
    initially_deferred: bool = Field(False, description="Every transaction has it checked at its end, unless it asks.")
    enforce: Literal["validate", "contract"] | None = Field(
        None, description="From when it binds old writers, when that is not as the migration says."
    )

    @model_validator(mode="after")
    def _goes_together(self) -> AddConstraint:
        rules = (self.check, self.unique, self.primary_key, self.foreign_key, self.exclude)
        if sum(rule is not None for rule in rules) != 1:
            raise ValueError("give exactly one of `check`, `unique`, `primary_key`, `foreign_key` and `exclude`")
        keyed = self.unique is not None or self.primary_key is not None
        said = (
            ("nulls_distinct", not self.nulls_distinct, self.unique is not None, "`unique`"),
            ("include", bool(self.include), keyed, "`unique` and `primary_key`"),
            ("accept_blocking", self.accept_blocking, self.exclude is not None, "`exclude`"),
            ("deferrable", self.deferrable, keyed or self.exclude is not None, "`unique`, `primary_key`, `exclude`"),
        )
        for key, given, fits, of in said:
            if given and not fits:
                inner = "; say it in `foreign_key`" if key == "deferrable" and self.foreign_key else ""
                raise ValueError(f"`{key}` says something of {of} only{inner}")
        if self.initially_deferred and not self.deferrable:
            raise ValueError("`initially_deferred` needs `deferrable: true`")
        return self

    def compile(self, context: Context) -> Compiled:
        """The rule's steps in the leg where it is enforced."""
        table = context.table(self.table)
        for part in context.catalog.tree(table.name):
            if any(constraint.name == self.name for constraint in part.constraints):
                context.refuse(f"constraint {self.name} exists already on {part.name}", at=("name",))
        legs = {"validate": Leg(phase="validate"), "contract": stage_leg("tighten"), None: context.rules_leg}
        place = context.place(table, legs[self.enforce])
        if self.check is not None:
            return self._check(context, table, place, self.check)
        if columns := self.unique or self.primary_key:
            return self._key(context, table, place, columns)
        if self.exclude is not None:
            return self._exclude(context, table, place, self.exclude)
        assert self.foreign_key is not None
        key = bound(context.within("foreign_key"), table, place, self.name, self.foreign_key)
        return self._compiled(context, table, key.rule, key.made, key.needs)

    def _check(self, context: Context, table: Table, place: Place, check: Expression) -> Compiled:
        bare = table.name.name
        checked(context, table, check, row=context.new_row_types(table), wanted="boolean", field="check")
        condition = check.render(bare, None, context.physical_names(table))
        rule = rules.check(place, self.name, condition, subject=self.name, shown=f"the check {self.name}")
        read = sorted(check.columns(bare))
        definition = sql.SQL("CHECK ({})").format(check.render(bare, None)).as_string(None)
        made = made_constraint(self.name, "check", read, definition)
        return self._compiled(context, table, rule, made, context.needs(table, read))

    def _key(self, context: Context, table: Table, place: Place, columns: tuple[str, ...]) -> Compiled:
        key = key_of(
            context,
            table,
            columns,
            primary=self.primary_key is not None,
            nulls_distinct=self.nulls_distinct,
            include=self.include,
            deferral=self._deferral,
        )
        refuse_taken_relation(context, table, self.name)
        shown = f"{table.name} ({', '.join(columns)})"
        rule = key_rule(place, self.name, key, subject=self.name, shown=shown)
        hazards = (at_once_while_built(table, columns),) if self.deferrable and not place.new else ()
        needs = context.needs(table, (*columns, *self.include))
        return self._compiled(context, table, rule, made_key(self.name, columns, key), needs, hazards)

    def _exclude(self, context: Context, table: Table, place: Place, exclude: Exclude) -> Compiled:
        if table.kind == "partitioned":
            context.refuse(
                f"{table.name} is partitioned",
                why="an exclusion constraint compares rows of one partition only",
                fix="add it to each partition by itself, where that is enough",
                at=("exclude",),
            )
        clause = exclude.clause(context, table, self._deferral)
        refuse_taken_relation(context, table, self.name)
        rule = exclusion(context, table, place, self.name, clause, accepted=self.accept_blocking)
        read = exclude.read(table.name.name)
        made = made_constraint(self.name, "exclude", read, clause.as_string(None), deferrable=self.deferrable)
        hazards = (blocked_while_built(table),) if self.accept_blocking and not place.new else ()
        return self._compiled(context, table, rule, made, context.needs(table, read), hazards)

    @property
    def _deferral(self) -> str:
        return " ".join(deferral(self.deferrable, self.initially_deferred))

    def _compiled(
        self,
        context: Context,
        table: Table,
        rule: Rule,
        made: Constraint,
        needs: Sequence[Need],
        hazards: Sequence[Hazard] = (),
    ) -> Compiled:
        place = context.place(table)
        indexes = ((table.name, key_index(made)),) if made.kind in ("unique", "primary_key") else ()
        return Compiled(
            steps=ruled(context, place, [rule]),
            constraints=((table.name, made),),
            indexes=indexes,
            needs=tuple(needs),
            hazards=tuple(hazards),
        )
