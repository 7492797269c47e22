"""change_column: type, nullability, default, check, unique of a column that keeps its name."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, NoReturn

from pydantic import Field

from crossfade.catalog.model import Column, Table
from crossfade.changes._change import Change, Compiled, Hazard, Mapped, Refused
from crossfade.changes._context import Context
from crossfade.changes._followers import following
from crossfade.changes._in_place import InPlace, column_collation, comes_back_alone
from crossfade.changes._mapping import checked, is_total
from crossfade.changes._obstacles import (
    refuse_branched,
    refuse_generated,
    refuse_lost_with_column,
    refuse_misfits,
    refuse_own_sequence,
    refuse_ruled_domain,
    refuse_taken_name,
)
from crossfade.changes._prepared import prepared_hazard
from crossfade.changes._target import Target
from crossfade.changes._triggers import readers, refuse_late_triggers
from crossfade.changes._types import catalog_only, unlimited
from crossfade.composing import sql
from crossfade.spec.fragment import Expression
from crossfade.spec.values import Identifier
from crossfade.steps import carry
from crossfade.steps.rows import NewColumn, Pair
from crossfade.steps.step import Leg, stage_leg
from crossfade.steps.tuning import Tuning


class ChangeColumn(Change):
    """Change the type, nullability, default, check, uniqueness or comment of a column that keeps its name.

    What PostgreSQL does in the catalog alone, and takes back in the catalog alone, is done in place: `varchar`
    without a length to `text`, and all that is no type. A new default and a new type come in the stage `cutover`,
    new rules where `enforce` says.

    A wider `varchar(n)`, `varchar(n)` to `text` and more digits of a `numeric` at the same scale are done in the
    catalog alone too, but to take them back PostgreSQL rewrites the table while nobody can read it. They are copied
    like any other type, unless `strategy: in_place` says that they shall be done at once and, from `cutover` on,
    for good ([decision 12](../decisions/0012-what-cannot-come-back-in-the-catalog-is-copied.md)).

    Where values change (another type, or `up` or `down` is given), a new column is filled beside the old one and
    names are swapped at `cutover`. Indexes, unique constraints, checks and foreign keys of the column are built for
    the new one first. Its statistics target and options stay; its storage and compression do where the type stays
    or both are texts. Views that read it, views over these, rules, policies and triggers are made again over the new
    one in the transaction of `cutover`, and over the old one when that is undone. In `up`, the column's name means
    the old value; in `down`, the new one.

    With `strategy: versions` each version of the application works with the column as it knows it, from expand to
    `retire`: by views in a schema of its own, which its `search_path` names ([versions](../versions.md)).

    ## Old and new versions

    Until `cutover` both versions read and write the column as it was; from then on as it shall be. Until `archive`
    the old column follows under a hidden name. With `strategy: versions` that is so for whoever names no schema of
    views; with one, the new version has its column from expand on, and the old one its own until `retire`.
    A value that is too long for a type is a conflict and is never cut off.

    ## Undo

    Turns the names back, at once; after `archive` from the archive. A column that may be NULL from expand on is
    made NOT NULL again without a scan that holds anybody up; while rows have no value the rollback is refused with
    their count, before anything is taken back.

    ## Locks

    ACCESS EXCLUSIVE on the table for an instant, in expand, at `cutover`, `archive` and `drop`; at `cutover` also on
    the views that read the column, and on tables whose policies do.

    ## Hazards

    After `cutover` the column stands last in the table. Statements prepared as `SELECT *` are refused once after
    expand, `cutover` and `drop`. A materialized view that reads the column is refused: drop it in a migration before
    this one and create it again in one after. What depends on the column and cannot be carried over is refused by
    name when planned.

    ## Example

    ```yaml
    changes:
      - change_column:
          table: flights
          column: departs
          to: {type: timestamptz, nullable: false}
          up: departs::timestamptz
          down: to_char(departs AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
    ```
    """

    table: Identifier = Field(description="The table, or `schema.table`.")
    column: Identifier = Field(description="The column; it keeps its name.")
    to: Target = Field(description="What it shall be; what is not named stays.")
    up: Expression | None = Field(
        None, description="SQL over the old row that gives the new value; without it a cast that cuts nothing off."
    )
    down: Expression | None = Field(
        None, description="SQL over the new row that gives the old value; without it the same."
    )
    strategy: Literal["swap", "versions", "in_place"] = Field(
        "swap",
        description="`versions`: each version of the application sees a column of its own, by a schema of views that"
        " its search_path names. `in_place`: widen a type in the catalog alone, also where that cannot be taken back.",
    )
    enforce: Literal["validate", "contract"] | None = Field(
        None,
        description="From when new rules bind old writers, when not as the migration says; refused without a rule.",
    )

    def compile(self, context: Context) -> Compiled:
        """In place where no value changes, else a pair that swaps names."""
        table = context.table(self.table)
        column = context.column(table, self.column, "column")
        with context.at("to", "type"):
            wanted = context.probe.type(self.to.type) if self.to.type is not None else column.type
        rules_leg = {"validate": Leg(phase="validate"), "contract": stage_leg("tighten"), None: context.rules_leg}[
            self.enforce
        ]
        wants_unique = self.to.wants_unique(table, self.column)
        for wished, name in (
            (self.to.check, self.to.check_name(table, self.column)),
            (wants_unique, self.to.key_name(table, self.column)),
        ):
            if wished:
                refuse_taken_name(context, table, name)
        if wants_unique:
            with context.at("to", "unique"):
                context.probe.key(wanted)
        if self.to.check is not None:
            row = {**context.row_types(table), self.column: wanted}
            checked(context, table, self.to.check, row=row, wanted="boolean", field="check", at=("to", "check"))
        if self.to.default is not None:
            checked(context, table, self.to.default, row={}, wanted=wanted, field="default", at=("to", "default"))
        # Under the strongest lock a check over the column would be verified again, by a scan, and an index with an
        # expression or a predicate built again.
        rescanned = any(c.kind == "check" and self.column in c.columns for c in table.constraints) or any(
            self.column in index.reads and (index.predicate is not None or "" in index.columns)
            for index in table.indexes
        )
        rewritten = wanted != column.type and (rescanned or not catalog_only(column.type, wanted))
        doable_in_place = self.up is None and self.down is None and not rewritten
        if self.strategy == "in_place" and not doable_in_place:
            self._refuse_in_place(context, table, column, wanted, rescanned=rescanned)
        if self.strategy == "versions":
            doable_in_place = False
        if doable_in_place and (self.strategy == "in_place" or comes_back_alone(column, wanted)):
            self._refuse_idle_enforce(context, binds=self.to.nullable is False and not column.not_null, table=table)
            return InPlace(context, table, column, self.to, wanted, rules_leg).compile()
        held = frozenset({self.column})
        carried = any(index.unique for index in carry.indexes_reading(table, held))
        carried = carried or bool(carry.constraints_reading(table, held))
        not_null = column.not_null if self.to.nullable is None else not self.to.nullable
        self._refuse_idle_enforce(context, binds=not_null or carried, table=table)
        if not doable_in_place:
            return self._swap(context, table, column, wanted, rules_leg)
        try:
            swapped = self._swap(context, table, column, wanted, rules_leg)
        except Refused as refused:
            instead = "say `strategy: in_place` to widen it in the catalog alone, which cannot be taken back"
            raise Refused.of(
                replace(problem, fix="; or ".join(filter(None, (problem.fix, instead)))) for problem in refused.problems
            ) from None
        return replace(swapped, hazards=(*swapped.hazards, _copied_to_come_back(table, column, wanted)))

    def _refuse_idle_enforce(self, context: Context, *, binds: bool, table: Table) -> None:
        """`enforce` where no rule is new: its author thinks that there is one."""
        if (
            self.enforce is not None
            and not binds
            and self.to.check is None
            and not self.to.wants_unique(table, self.column)
        ):
            context.refuse(
                f"`enforce: {self.enforce}` on {table.name}.{self.column}, which gets no new rule",
                why="it says from when a new NOT NULL, check or unique rule binds old writers",
                fix="delete `enforce`, or say the rule under `to`",
                at=("enforce",),
            )

    def _refuse_in_place(
        self, context: Context, table: Table, column: Column, wanted: str, *, rescanned: bool
    ) -> NoReturn:
        if self.up is not None or self.down is not None:
            why = "`up` and `down` give other values, which a column beside the old one must hold"
        elif rescanned and catalog_only(column.type, wanted):
            why = "a check, or an index with a condition or an expression, reads it: PostgreSQL would go through the"
            why += " table while nobody can read it"
        else:
            why = f"PostgreSQL rewrites the table from {column.type} to {wanted} while nobody can read it"
        what = f"{table.name}.{self.column} cannot be changed in place"
        context.refuse(what, why=why, fix="leave `strategy` out", at=("strategy",))

    def _swap(self, context: Context, table: Table, column: Column, wanted: str, leg: Leg) -> Compiled:
        columns = frozenset({self.column})
        with context.at("to", "type"):
            refuse_ruled_domain(context, wanted)
        refuse_branched(context, table)
        refuse_own_sequence(context, table, column)
        refuse_lost_with_column(context, table, column)
        follow = following(context, table, column, wanted, "cutover")
        read = readers(context, table, column, wanted)
        if wanted != column.type:
            refuse_misfits(context, table, column, wanted)
        row = context.row_types(table)
        new_row = {**row, self.column: wanted}
        up = self.up or self._converted(column.type, wanted)
        down = self.down or self._converted(wanted, column.type)
        facts = checked(context, table, up, row=row, wanted=wanted, field="up")
        checked(context, table, down, row=new_row, wanted=column.type, field="down")
        refuse_generated(context, table, up.columns(table.name.name), "up")
        refuse_generated(context, table, down.columns(table.name.name), "down")
        refuse_late_triggers(context, table, columns.union(*(e.columns(table.name.name) for e in (up, down))))
        carried = self._carried_default(context, table, column, wanted)
        not_null = column.not_null if self.to.nullable is None else not self.to.nullable
        default = None if self.to.names_default else column.default
        texts = all(type_.partition("(")[0] in ("text", "character varying") for type_ in (wanted, column.type))
        tuning = Tuning.of(column)
        new = NewColumn(
            name=self.column,
            type=wanted,
            collation=column_collation(column) if wanted == column.type or texts else None,
            default=self.to.default.text if self.to.default is not None else default,
            not_null=not_null,
            comment=self.to.comment if self.to.names_comment else column.comment,
            tuning=tuning if wanted == column.type or texts else tuning.for_another_type(),
        )
        pair = Pair(
            title=f"{table.name}.{self.column}",
            old=(self.column,),
            new=(new,),
            up={self.column: up},
            down={self.column: down},
            swap=True,
            repeatable=facts.repeatable,
            total=is_total(up, row, wanted) and is_total(down, new_row, column.type),
            checks=self.to.checks(table, self.column),
            uniques=self.to.uniques(table, self.column),
            rules_leg=leg,
            readers=read.signatures,
            followers=follow.followers,
        )
        last = Hazard(
            "column-order",
            "note",
            f"after cutover {self.column} stands last in {table.name}: an INSERT without column names would write the"
            " hidden old column",
            "name the columns in INSERT",
        )
        prepared = [prepared_hazard(table, "warning", "after expand, cutover and drop")]
        if wanted != column.type:
            prepared.append(prepared_hazard(table, "warning", "after cutover", what=f"`{self.column}`"))
        return Compiled(
            pairs=((table.name, pair),),
            versions=(table.name,) if self.strategy == "versions" else (),
            hazards=(*follow.hazards, *read.hazards, *carried, last, *prepared),
            maps=(Mapped(table.name, self.column, tuple(sorted(up.columns(table.name.name))), up.text),),
        )

    def _converted(self, given: str, wanted: str) -> Expression:
        """The value in the other type, as long as it is: to cut it off is what an assignment refuses."""
        bare = sql.Identifier(self.column).as_string(None)
        given, wanted = unlimited(given), unlimited(wanted)
        return Expression(bare if given == wanted else f"{bare}::{wanted}")

    def _carried_default(self, context: Context, table: Table, column: Column, wanted: str) -> tuple[Hazard, ...]:
        """The old default stays when the spec names no other: refused where the new type cannot take it."""
        if column.default is None or self.to.names_default:
            return ()
        facts = context.probe.expression(Expression(column.default), table=table.name.name, row={}, wanted=wanted)
        if not facts.assignable:
            context.refuse(
                f"the default of {table.name}.{self.column} is {facts.type}, the column shall be {wanted}",
                why="the new column would have no default where the old one has",
                fix="give `default` under `to`, or `default: null` to take it away",
            )
        if self.up is None:
            return ()
        what = f"the default {column.default} of {table.name}.{self.column} is carried over as it is, not through `up`"
        return (Hazard("default-carried", "warning", what, "give `default` under `to` when it shall be another"),)


def _copied_to_come_back(table: Table, column: Column, wanted: str) -> Hazard:
    return Hazard(
        "copied-to-come-back",
        "note",
        f"PostgreSQL could make {table.name}.{column.name} {wanted} at once, and would rewrite the table under ACCESS"
        " EXCLUSIVE to take that back: so its values are copied beside it",
        "where it shall never be taken back, say `strategy: in_place`",
    )
