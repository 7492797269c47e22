"""Old columns that give way to new ones made from them, however many of each: what split and merge have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from crossfade.catalog.model import Column, Table
from crossfade.changes._change import Compiled, Hazard, Mapped
from crossfade.changes._context import Context, Path
from crossfade.changes._fresh import Fresh
from crossfade.changes._mapping import checked, is_total
from crossfade.changes._obstacles import (
    refuse_branched,
    refuse_dependents,
    refuse_generated,
    refuse_lost_with_column,
    refuse_own_sequence,
)
from crossfade.changes._prepared import prepared_hazard
from crossfade.changes._triggers import refuse_late_triggers, refuse_naming_triggers
from crossfade.spec.fragment import Expression
from crossfade.steps import carry
from crossfade.steps.rows import Pair


@dataclass(frozen=True)
class Reshaped:
    """down: each column that leaves, with how its value is made from the new row. into: those that take over.

    down_at: the path to what is said of each, from the change; of the new columns that is `into` and the name.
    """

    context: Context
    table: Table
    down: Mapping[str, Expression]
    into: Mapping[str, Fresh]
    down_at: Mapping[str, Path]

    def compile(self) -> Compiled:
        """One pair of all of them, so that whoever writes any of one side is mapped to the whole of the other."""
        context, table = self.context, self.table
        refuse_branched(context, table)
        leaving = frozenset(self.down)
        hazards = self._of_leaving(leaving)
        for name in self.into:
            if name in context.new_row_types(table) and name not in leaving:
                context.refuse(f"column {name} exists already in {table.name}", at=("into", name))
        row = context.row_types(table)
        wanted: dict[str, str] = {}
        for name, fresh in self.into.items():
            wanted[name] = fresh.wanted(context.within("into", name))
        # `up` sees the columns that leave, `down` and checks those that take over, under the same name too.
        new_row = {name: type_ for name, type_ in row.items() if name not in leaving} | wanted
        repeatable = total = True
        for name, fresh in self.into.items():
            within = context.within("into", name)
            facts = fresh.verified(within, table, name, wanted[name], row, new_row)
            repeatable = repeatable and facts.repeatable
            total = total and is_total(fresh.up, row, wanted[name])
        for name, down in self.down.items():
            type_ = row[name]
            checked(context, table, down, row=new_row, wanted=type_, field="down", at=self.down_at[name])
            with context.at(*self.down_at[name]):
                refuse_generated(context, table, down.columns(table.name.name), "down")
            total = total and is_total(down, new_row, type_)
        refuse_late_triggers(context, table, leaving | self._read())
        swap = bool(leaving & self.into.keys())
        pair = Pair(
            title=f"{table.name}: {', '.join(self.down)} to {', '.join(self.into)}",
            old=tuple(self.down),
            new=tuple(fresh.column(name, wanted[name]) for name, fresh in self.into.items()),
            up={name: fresh.up for name, fresh in self.into.items()},
            down=self.down,
            swap=swap,
            repeatable=repeatable,
            total=total,
            checks=tuple(rule for name, fresh in self.into.items() for rule in fresh.checks(table, name)),
            sheds=tuple(self._checks(leaving)),
            uniques=tuple(rule for name, fresh in self.into.items() for rule in fresh.uniques(table, name)),
        )
        when = f"after expand, {pair.turns_at} and drop"
        return Compiled(
            pairs=((table.name, pair),),
            hazards=(*hazards, *self._gone_with(leaving), prepared_hazard(table, "warning", when)),
            maps=tuple(
                Mapped(table.name, name, tuple(sorted(fresh.up.columns(table.name.name))), fresh.up.text)
                for name, fresh in self.into.items()
            ),
        )

    def _of_leaving(self, leaving: frozenset[str]) -> tuple[Hazard, ...]:
        hazards = list(refuse_dependents(self.context, self.table, leaving))
        for name in leaving:
            column = self.table.by_name[name]
            refuse_own_sequence(self.context, self.table, column)
            refuse_lost_with_column(self.context, self.table, column)
            hazards.extend(refuse_naming_triggers(self.context, self.table, name))
        for constraint in carry.constraints_reading(self.table, leaving):
            if constraint.kind == "foreign_key":
                self.context.refuse(
                    f"{', '.join(constraint.columns)} is bound to {constraint.references} by {constraint.name}",
                    why="nothing tells which of the new columns the foreign key shall be over",
                    fix="drop the foreign key first, and add one over the new columns with add_constraint",
                )
        return tuple(dict.fromkeys(hazards))

    def _read(self) -> frozenset[str]:
        """The columns of today that any of the mappings reads."""
        fragments = (*(fresh.up for fresh in self.into.values()), *self.down.values())
        read = {column for each in fragments for column in each.columns(self.table.name.name)}
        return frozenset(read & self.table.by_name.keys())

    def _gone_with(self, leaving: frozenset[str]) -> Iterator[Hazard]:
        """Indexes and rules over the columns that leave: nothing says what they should be over the new ones."""
        indexes = carry.indexes_reading(self.table, leaving)
        if plain := [index.name for index in indexes if not index.unique]:
            yield Hazard(
                "goes-with-column",
                "warning",
                f"{_listed(plain, 'index', 'indexes')} of {self.table.name} goes with {', '.join(self.down)}, and the"
                " new columns are without one",
                "add create_index over the new columns to this migration, below this change",
            )
        unique = [index.constraint or index.name for index in indexes if index.unique]
        own = "give the new columns rules of their own (`check`, `unique`, or add_constraint below this change)"
        for rules, until in ((unique, "dropped"), (self._checks(leaving), "hidden")):
            if rules:
                yield Hazard(
                    "old-rule-binds-new",
                    "warning",
                    f"{_listed(rules, 'rule', 'rules')} of {self.table.name} binds what the new version writes too,"
                    f" through `down`, until {', '.join(self.down)} is {until}, and goes then",
                    own,
                )
        required = [column.name for column in self._leaving_columns() if column.not_null]
        if required and not any(not fresh.nullable for fresh in self.into.values()):
            yield Hazard(
                "old-rule-binds-new",
                "note",
                f"{', '.join(required)} of {self.table.name} is NOT NULL: a new version's row for which `down` gives"
                " NULL is refused until the old column is hidden",
                "let `down` give a value (coalesce), or say `nullable: false` of the new column it is made from",
            )

    def _checks(self, leaving: frozenset[str]) -> list[str]:
        return [found.name for found in carry.constraints_reading(self.table, leaving)]

    def _leaving_columns(self) -> Iterable[Column]:
        return (self.table.by_name[name] for name in self.down)


def _listed(names: list[str], one: str, several: str) -> str:
    return f"{one if len(names) == 1 else several} {', '.join(names)}"
