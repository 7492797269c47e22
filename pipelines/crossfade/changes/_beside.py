"""A column that is changed by another one beside it: filled, kept in step, and put in its place under either name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import postgast

from crossfade.catalog.model import Column, Table
from crossfade.changes._change import Compiled, Hazard, Mapped, Refused
from crossfade.changes._context import Context, Facts
from crossfade.changes._followers import Following, following
from crossfade.changes._in_place import collated
from crossfade.changes._mapping import checked, is_total
from crossfade.changes._obstacles import (
    refuse_branched,
    refuse_dependents,
    refuse_generated,
    refuse_lost_with_column,
    refuse_misfits,
    refuse_own_sequence,
    refuse_ruled_domain,
)
from crossfade.changes._prepared import prepared_hazard
from crossfade.changes._ruled import ruled
from crossfade.changes._target import Target
from crossfade.changes._triggers import Readers, readers, refuse_late_triggers, refuse_naming_triggers
from crossfade.changes._types import unlimited
from crossfade.composing import sql
from crossfade.spec.fragment import Expression
from crossfade.steps.rows import NewColumn, Pair
from crossfade.steps.step import Leg
from crossfade.steps.tuning import Tuning


@dataclass(frozen=True)
class Beside:
    """wanted: the type the column shall have. leg: from where its new rules bind. up, down: as the user gave them."""

    context: Context
    table: Table
    column: Column
    to: Target
    wanted: str
    leg: Leg
    up: Expression | None
    down: Expression | None

    @property
    def name(self) -> str:
        return self.to.name or self.column.name

    @property
    def renames(self) -> bool:
        return self.name != self.column.name

    def compile(self) -> Compiled:
        """A pair that swaps names, or one of two names."""
        context, table, column, wanted = self.context, self.table, self.column, self.wanted
        sheds = self.to.dropped_checks(table, column.name)
        read, follow = self._obstacles(frozenset(sheds))
        row = context.row_types(table)
        new_row = {name: type_ for name, type_ in row.items() if name != column.name} | {self.name: wanted}
        up = self.up or _converted(column.name, column.type, wanted)
        down = self.down or _converted(self.name, wanted, column.type)
        facts = checked(context, table, up, row=row, wanted=wanted, field="up")
        checked(context, table, down, row=new_row, wanted=column.type, field="down")
        refuse_generated(context, table, up.columns(table.name.name), "up")
        refuse_generated(context, table, down.columns(table.name.name), "down")
        mapped = up.columns(table.name.name) | down.columns(table.name.name)
        refuse_late_triggers(context, table, (mapped | {column.name}) & table.by_name.keys())
        default, told = self._default()
        pair = Pair(
            title=f"{table.name}.{column.name}" + (f" to {self.name}" if self.renames else ""),
            old=(column.name,),
            new=(self._new(default),),
            up={self.name: up},
            down={column.name: down},
            swap=not self.renames,
            repeatable=facts.repeatable,
            total=is_total(up, row, wanted) and is_total(down, new_row, column.type),
            checks=self.to.checks(table, self.name),
            uniques=self.to.uniques(table, self.name),
            rules_leg=self.leg,
            readers=read.signatures,
            followers=follow.followers,
            sheds=sheds,
        )
        pairs = ((table.name, pair),)
        arrived, place = context.after(Compiled(pairs=pairs)), context.place(table, self.leg)
        refers = self.to.foreign_key(arrived, table, place, self.name)
        return Compiled(
            pairs=pairs,
            steps=ruled(context, context.place(table), [refers.rule]) if refers else (),
            constraints=((table.name, refers.made),) if refers else (),
            needs=refers.needs if refers else (),
            hazards=(*follow.hazards, *read.hazards, *told, *self._seen()),
            maps=(Mapped(table.name, self.name, tuple(sorted(up.columns(table.name.name))), up.text),),
        )

    def _obstacles(self, sheds: frozenset[str]) -> tuple[Readers, Following]:
        context, table, column = self.context, self.table, self.column
        with context.at("to", "type"):
            refuse_ruled_domain(context, self.wanted)
        refuse_branched(context, table)
        refuse_own_sequence(context, table, column)
        refuse_lost_with_column(context, table, column)
        if self.wanted != column.type:
            refuse_misfits(context, table, column, self.wanted, sheds)
        if not self.renames:
            follow = following(context, table, column, self.wanted, "cutover")
            return readers(context, table, column, self.wanted), follow
        if self.name in context.new_row_types(table):
            context.refuse(f"column {self.name} exists already in {table.name}", at=("to", "name"))
        # What reads it would give a value of another meaning under the old name, unless it is the name alone.
        told = refuse_naming_triggers(context, table, column.name)
        if self.wanted != column.type or self.up is not None:
            hazards = refuse_dependents(context, table, frozenset({column.name}))
            return Readers((), ()), Following((), hazards + told)
        follow = following(context, table, column, column.type, "retire")
        return Readers((), ()), Following(follow.followers, follow.hazards + told)

    def _new(self, default: str | None) -> NewColumn:
        to, column = self.to, self.column
        texts = all(type_.partition("(")[0] in ("text", "character varying") for type_ in (self.wanted, column.type))
        alike = self.wanted == column.type or texts
        tuning = Tuning.of(column)
        return NewColumn(
            name=self.name,
            type=self.wanted,
            collation=collated(self.context, column, to, self.wanted),
            default=default,
            not_null=column.not_null if to.nullable is None else not to.nullable,
            comment=to.comment if to.names_comment else column.comment,
            tuning=tuning if alike else tuning.for_another_type(),
        )

    def _default(self) -> tuple[str | None, tuple[Hazard, ...]]:
        """The old default stays when the spec names no other: refused where the new type cannot take it."""
        if self.to.default is not None:
            return self.to.default.text, ()
        column, shown = self.column, f"{self.table.name}.{self.column.name}"
        if column.default is None or self.to.names_default:
            return None, ()
        default = self._fitting(column.default)
        if self.up is None:
            return default, ()
        what = f"the default {column.default} of {shown} is carried over as it is, not through `up`"
        fix = "give `default` under `to` when it shall be another"
        return default, (Hazard("default-carried", "warning", what, fix),)

    def _fitting(self, default: str) -> str:
        """The default for the other type: as it is, or the same literal read as one of that type.

        A literal of a type that somebody made would keep that type from being dropped.
        """
        facts = self._asked(default)
        literal = _as_literal(default, unlimited(self.wanted))
        if facts.assignable and (literal is None or "." not in facts.type or facts.type == self.wanted):
            return default
        if literal is not None:
            with suppress(Refused):  # it is no value of that type
                self._asked(literal)
                return literal
        return self.context.refuse(
            f"the default of {self.table.name}.{self.column.name} is {facts.type}, the column shall be {self.wanted}",
            why="the new column would have no default where the old one has",
            fix="give `default` under `to`, or `default: null` to take it away",
        )

    def _asked(self, text: str) -> Facts:
        return self.context.probe.expression(Expression(text), table=self.table.name.name, row={}, wanted=self.wanted)

    def _seen(self) -> Iterator[Hazard]:
        """What clients see of it."""
        if self.renames:
            yield prepared_hazard(self.table, "warning", "after expand, retire and drop")
            return
        yield Hazard(
            "column-order",
            "note",
            f"after cutover {self.name} stands last in {self.table.name}: an INSERT without column names would write"
            " the hidden old column",
            "name the columns in INSERT",
        )
        yield prepared_hazard(self.table, "warning", "after expand, cutover and drop")
        if self.wanted != self.column.type:
            yield prepared_hazard(self.table, "warning", "after cutover", what=f"`{self.name}`")


def _converted(column: str, given: str, wanted: str) -> Expression:
    """The value in the other type, as long as it is: to cut it off is what an assignment refuses."""
    bare = sql.Identifier(column).as_string(None)
    given, wanted = unlimited(given), unlimited(wanted)
    return Expression(bare if given == wanted else f"{bare}::{wanted}")


def _as_literal(default: str, wanted: str) -> str | None:
    """`'new'::text` as `'new'::mood`; None where the default is no text literal."""
    value = postgast.parse(f"SELECT {default}").stmts[0].stmt.select_stmt.target_list[0].res_target.val
    while value.HasField("type_cast"):
        value = value.type_cast.arg
    if not (value.HasField("a_const") and value.a_const.HasField("sval")):
        return None
    return f"{sql.Literal(value.a_const.sval.sval).as_string(None)}::{wanted}"
