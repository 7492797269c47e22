"""change_column: type, nullability, default, check, unique of a column that keeps its name."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, NoReturn

from pydantic import Field, field_validator, model_validator

from crossfade.catalog.model import Column, Table
from crossfade.changes._change import Change, Compiled, Hazard, Mapped, Need, Refused
from crossfade.changes._context import Context, identifier, relation
from crossfade.changes._mapping import checked, is_total
from crossfade.changes._obstacles import (
    refuse_branched,
    refuse_dependents,
    refuse_generated,
    refuse_lost_with_column,
    refuse_misfits,
    refuse_own_sequence,
    refuse_ruled_domain,
    refuse_taken_name,
    rule_name,
)
from crossfade.changes._prepared import prepared_hazard
from crossfade.changes._ruled import ruled
from crossfade.changes._triggers import readers, refuse_late_triggers
from crossfade.changes._types import catalog_only, unlimited
from crossfade.composing import sql
from crossfade.spec.fragment import Expression, TypeName, trusted
from crossfade.spec.values import Identifier, SpecModel
from crossfade.steps import carry, rules
from crossfade.steps.compose import lock, text
from crossfade.steps.recompile import recompile
from crossfade.steps.rows import CheckRule, NewColumn, Pair, UniqueRule
from crossfade.steps.step import EXPAND, AnyStep, Ddl, Leg, stage_leg
from crossfade.steps.tuning import Tuning


class Target(SpecModel):
    """What the column shall be; what is not named stays."""

    type: TypeName | None = Field(None, examples=["bigint", "timestamptz"])
    nullable: bool | None = None
    default: Expression | None = Field(None, description="SQL; `null` takes the default away.")
    check: Expression | None = None
    unique: bool | None = None
    comment: str | None = None

    @field_validator("unique")
    @classmethod
    def _takes_no_rule_away(cls, value: bool | None) -> bool | None:
        if value is False:
            raise ValueError("a rule is not taken away like this; drop the constraint with a `sql` change")
        return value

    @model_validator(mode="after")
    def _says_something(self) -> Target:
        if not self.model_fields_set:
            raise ValueError("`to` must say what changes")
        return self


class ChangeColumn(Change):
    """Change a column.

    What the catalog can do alone, and take back alone, is done in place. Otherwise a new column is filled beside the
    old one and names are swapped at cutover, in one short transaction that can be turned back until archive.
    """

    table: Identifier
    column: Identifier
    to: Target
    up: Expression | None = Field(None, description="SQL over the old row -> new value; default: a cast.")
    down: Expression | None = Field(None, description="SQL over the new row -> old value; default: a cast.")
    strategy: Literal["swap", "in_place"] = Field(
        "swap",
        description="`in_place`: widen a type in the catalog alone, also where that cannot be taken back.",
    )
    enforce: Literal["validate", "contract"] | None = Field(None, description="From when new rules bind old writers.")

    def compile(self, context: Context) -> Compiled:
        """In place where no value changes, else a pair that swaps names."""
        table = context.table(self.table)
        column = context.column(table, self.column, "column")
        with context.at("to", "type"):
            wanted = context.probe.type(self.to.type) if self.to.type is not None else column.type
        rules_leg = {"validate": Leg(phase="validate"), "contract": stage_leg("tighten"), None: context.rules_leg}[
            self.enforce
        ]
        for wished, name in (
            (self.to.check, self._check_name(table)),
            (self._wants_unique(table), self._key_name(table)),
        ):
            if wished:
                refuse_taken_name(context, table, name)
        if self._wants_unique(table):
            with context.at("to", "unique"):
                context.probe.key(wanted)
        if self.to.check is not None:
            row = {**context.row_types(table), self.column: wanted}
            checked(context, table, self.to.check, row=row, wanted="boolean", field="check", at=("to", "check"))
        if self._new_default is not None:
            checked(context, table, self._new_default, row={}, wanted=wanted, field="default", at=("to", "default"))
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
        if doable_in_place and (self.strategy == "in_place" or _comes_back_alone(column, wanted)):
            self._refuse_idle_enforce(context, binds=self.to.nullable is False and not column.not_null, table=table)
            return self._in_place(context, table, column, wanted, rules_leg)
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
        if self.enforce is not None and not binds and self.to.check is None and not self._wants_unique(table):
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

    @property
    def _new_default(self) -> Expression | None:
        return self.to.default

    @property
    def _drops_default(self) -> bool:
        return "default" in self.to.model_fields_set and self.to.default is None

    def _check_name(self, table: Table) -> str:
        return rule_name(table.name.name, self.column, "check")

    def _key_name(self, table: Table) -> str:
        return rule_name(table.name.name, self.column, "key")

    def _wants_unique(self, table: Table) -> bool:
        held = any(index.unique and index.valid and index.columns == (self.column,) for index in table.indexes)
        return bool(self.to.unique) and not held

    # --- in place ------------------------------------------------------------------------------------

    def _in_place(self, context: Context, table: Table, column: Column, wanted: str, leg: Leg) -> Compiled:
        place = context.place(table, leg)
        found: list[rules.Rule] = []
        if self.to.nullable is False and not column.not_null:
            shown = f"{table.name}.{self.column}"
            found.append(rules.not_null(place, self.column, lasting=self.column, subject=self.column, shown=shown))
        if self.to.check is not None:
            condition = self.to.check.render(table.name.name, None)
            shown = f"the check {self._check_name(table)}"
            found.append(
                rules.check(place, self._check_name(table), condition, subject=self._check_name(table), shown=shown)
            )
        if self._wants_unique(table):
            shown = f"{table.name} ({self.column})"
            found.append(
                rules.unique(place, self._key_name(table), (self.column,), subject=self._key_name(table), shown=shown)
            )
        steps = list(ruled(context, place, found))
        hazards: tuple[Hazard, ...] = ()
        if self.to.nullable is True and column.not_null:
            if any(c.kind == "primary_key" and self.column in c.columns for c in table.constraints):
                context.refuse(f"{self.column} is in the primary key of {table.name}", why="a key has no NULL in it")
            steps.append(self._nullable(context, table))
            hazards += (_null_holds_up(table, self.column),)
        if wanted != column.type:
            refuse_dependents(context, table, frozenset({self.column}))
            # Without COLLATE the column would get the type's own, and its indexes be built again.
            kept = f" COLLATE {_collation(column)}" if column.collation else ""
            read = readers(context, table, column, wanted)
            anew = (recompile(read.signatures),) if read.signatures else ()
            forth, back = (self._altering(table, f"TYPE {type_}{kept}") + anew for type_ in (wanted, column.type))
            widened = self._step(context, table, stage_leg("cutover"), "type", forth, back)
            hazards += read.hazards
            hazards += (prepared_hazard(table, "warning", "after cutover", what=f"`{self.column}`"),)
            if not _comes_back_alone(column, wanted):
                gone = f"PostgreSQL would rewrite {table.name} while nobody can read it to make it {column.type} again"
                widened = widened.model_copy(update={"undo": (), "undo_title": gone, "irreversible": True})
                hazards += (_no_way_back(table, column, wanted),)
            steps.append(widened)
        if "default" in self.to.model_fields_set:
            before = f"SET DEFAULT {column.default}" if column.default is not None else "DROP DEFAULT"
            after = f"SET DEFAULT ({self._new_default})" if self._new_default is not None else "DROP DEFAULT"
            steps.append(self._alter(context, table, stage_leg("cutover"), "default", after, before))
        if "comment" in self.to.model_fields_set:
            steps.append(self._comment(context, table, column))
        checked_too = self.to.check.columns(table.name.name) if self.to.check is not None else frozenset[str]()
        needs = tuple(Need(table.name, name, follows=False) for name in sorted(checked_too | {self.column}))
        return Compiled(steps=tuple(steps), hazards=hazards, needs=needs)

    def _alter(self, context: Context, table: Table, leg: Leg, what: str, forth: str, back: str) -> Ddl:
        return self._step(context, table, leg, what, self._altering(table, forth), self._altering(table, back))

    def _altering(self, table: Table, clause: str) -> tuple[str, ...]:
        altered = sql.SQL("ALTER TABLE {} ALTER COLUMN {} {}")
        return text(altered.format(identifier(table.name), sql.Identifier(self.column), trusted(clause)))

    def _nullable(self, context: Context, table: Table) -> Ddl:
        shown = f"{table.name}.{self.column}"
        again = rules.not_null_again(
            context.place(table, EXPAND), self.column, subject=f"old {self.column}", shown=shown
        )
        step = self._alter(context, table, EXPAND, "nullable", "DROP NOT NULL", "SET NOT NULL")
        return step.model_copy(
            update={"undo": again, "undo_title": "prove that every row has a value, without a lock, and set NOT NULL"}
        )

    def _comment(self, context: Context, table: Table, column: Column) -> Ddl:
        name = sql.Identifier(table.name.schema, table.name.name, self.column)

        def statement(comment: str | None) -> tuple[str, ...]:
            return text(sql.SQL("COMMENT ON COLUMN {} IS {}").format(name, sql.Literal(comment)))

        forth, back = statement(self.to.comment), statement(column.comment)
        return self._step(context, table, EXPAND, "comment", forth, back)

    def _step(
        self, context: Context, table: Table, leg: Leg, what: str, forth: tuple[str, ...], back: tuple[str, ...]
    ) -> Ddl:
        mode = "SHARE UPDATE EXCLUSIVE" if what == "comment" else "ACCESS EXCLUSIVE"
        step_id = f"{table.name}/{self.column}/{what}"
        undo: tuple[AnyStep, ...] = (
            Ddl(
                id=f"{step_id}/undo",
                leg=leg,
                database=context.database,
                title=f"set the {what} of {table.name}.{self.column} back",
                locks=lock(relation(table.name), mode),
                statements=back,
            ),
        )
        return Ddl(
            id=step_id,
            leg=leg,
            database=context.database,
            title=f"change the {what} of {table.name}.{self.column}",
            locks=lock(relation(table.name), mode),
            statements=forth,
            undo=undo,
            undo_title=f"set the {what} back",
        )

    # --- swap ----------------------------------------------------------------------------------------

    def _swap(self, context: Context, table: Table, column: Column, wanted: str, leg: Leg) -> Compiled:
        columns = frozenset({self.column})
        with context.at("to", "type"):
            refuse_ruled_domain(context, wanted)
        refuse_branched(context, table)
        refuse_own_sequence(context, table, column)
        refuse_lost_with_column(context, table, column)
        hazards = refuse_dependents(context, table, columns)
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
        default = None if self._drops_default else column.default
        texts = all(type_.partition("(")[0] in ("text", "character varying") for type_ in (wanted, column.type))
        tuning = Tuning.of(column)
        new = NewColumn(
            name=self.column,
            type=wanted,
            collation=_collation(column) if wanted == column.type or texts else None,
            default=self._new_default.text if self._new_default is not None else default,
            not_null=not_null,
            comment=self.to.comment if "comment" in self.to.model_fields_set else column.comment,
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
            checks=(CheckRule(self._check_name(table), self.to.check),) if self.to.check is not None else (),
            uniques=(UniqueRule(self._key_name(table), (self.column,)),) if self._wants_unique(table) else (),
            rules_leg=leg,
            readers=read.signatures,
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
            hazards=(*hazards, *read.hazards, *carried, last, *prepared),
            maps=(Mapped(table.name, self.column, tuple(sorted(up.columns(table.name.name))), up.text),),
        )

    def _converted(self, given: str, wanted: str) -> Expression:
        """The value in the other type, as long as it is: to cut it off is what an assignment refuses."""
        bare = sql.Identifier(self.column).as_string(None)
        given, wanted = unlimited(given), unlimited(wanted)
        return Expression(bare if given == wanted else f"{bare}::{wanted}")

    def _carried_default(self, context: Context, table: Table, column: Column, wanted: str) -> tuple[Hazard, ...]:
        """The old default stays when the spec names no other: refused where the new type cannot take it."""
        if column.default is None or "default" in self.to.model_fields_set:
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


def _comes_back_alone(column: Column, wanted: str) -> bool:
    """The catalog alone makes the column what it was again."""
    return wanted == column.type or catalog_only(wanted, column.type)


def _copied_to_come_back(table: Table, column: Column, wanted: str) -> Hazard:
    return Hazard(
        "copied-to-come-back",
        "note",
        f"PostgreSQL could make {table.name}.{column.name} {wanted} at once, and would rewrite the table under ACCESS"
        " EXCLUSIVE to take that back: so its values are copied beside it",
        "where it shall never be taken back, say `strategy: in_place`",
    )


def _no_way_back(table: Table, column: Column, wanted: str) -> Hazard:
    return Hazard(
        "no-way-back",
        "danger",
        f"from cutover on the migration cannot be rolled back: PostgreSQL would rewrite {table.name} under ACCESS"
        f" EXCLUSIVE to make {column.name} {column.type} again, and fail on a value that only {wanted} can hold",
        "leave `strategy` out to copy the column beside live traffic; or change it back with a migration of its own,"
        " which copies too",
    )


def _null_holds_up(table: Table, column: str) -> Hazard:
    return Hazard(
        "null-holds-up-rollback",
        "note",
        f"rows whose {column} a new version leaves NULL hold up a rollback: they are counted in {table.name} before"
        " anything is taken back",
        "give them a value then",
    )


def _collation(column: Column) -> str | None:
    if column.collation is None:
        return None
    return sql.Identifier(column.collation.schema, column.collation.name).as_string(None)
