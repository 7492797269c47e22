"""A column that the catalog alone can change: ALTER under short locks, and rules proven before they bind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from crossfade.catalog.model import Column, Name, Table
from crossfade.changes._change import Compiled, Hazard, Need
from crossfade.changes._context import Context
from crossfade.changes._followers import following
from crossfade.changes._foreign_key import Bound
from crossfade.changes._identity import Numbered
from crossfade.changes._obstacles import refuse_dependents
from crossfade.changes._prepared import prepared_hazard
from crossfade.changes._ruled import ruled
from crossfade.changes._target import Target
from crossfade.changes._triggers import readers
from crossfade.changes._types import catalog_only
from crossfade.composing import sql
from crossfade.spec.fragment import Expression, trusted
from crossfade.steps import carry, rules
from crossfade.steps.compose import alter_column, identifier, lock, lock_parents, relation, text
from crossfade.steps.followers import lock_followers, made_again, ordered, sampled_again, taken_away
from crossfade.steps.keys import Key, key_rule
from crossfade.steps.recompile import recompile
from crossfade.steps.step import EXPAND, AnyStep, Ddl, Leg, Lock, stage_leg

_TEXTS = re.compile(r"^(character varying|text).*$")
_ITS_TYPES_OWN = Name("pg_catalog", "default")


@dataclass(frozen=True)
class InPlace:
    """wanted: the type the column shall have. leg: from where its new rules bind."""

    context: Context
    table: Table
    column: Column
    to: Target
    wanted: str
    leg: Leg

    def compile(self) -> Compiled:
        """Rules first, then what the column is."""
        refers = self.to.foreign_key(
            self.context, self.table, self.context.place(self.table, self.leg), self.column.name
        )
        steps, hazards = self._rules(refers), list[Hazard]()
        if self.to.nullable is True and self.column.not_null:
            steps.append(self._nullable())
            hazards.append(_null_holds_up(self.table, self.column))
        steps.extend(self._checks_dropped())
        if self.wanted != self.column.type or self._collation != column_collation(self.column):
            widened, dangers = self._type()
            steps.extend(widened)
            hazards.extend(dangers)
        if self.to.names_default:
            steps.append(self._default())
        if self.to.identity is not None:
            numbered = Numbered(self.context, self.table, self.column, self.to.identity)
            steps.extend(numbered.steps())
            hazards.extend(numbered.hazards())
        if self.to.names_comment:
            steps.append(self._comment())
        read = self.to.check.columns(self.table.name.name) if self.to.check is not None else frozenset[str]()
        needs = tuple(Need(self.table.name, name, follows=False) for name in sorted(read | {self.column.name}))
        return Compiled(
            steps=tuple(steps),
            hazards=tuple(hazards),
            needs=(*needs, *(refers.needs if refers else ())),
            constraints=((self.table.name, refers.made),) if refers else (),
        )

    def _rules(self, refers: Bound | None) -> list[AnyStep]:
        table, column = self.table, self.column.name
        place = self.context.place(table, self.leg)
        found: list[rules.Rule] = []
        if self.to.nullable is False and not self.column.not_null:
            shown = f"{table.name}.{column}"
            found.append(rules.not_null(place, column, lasting=column, subject=column, shown=shown))
        if self.to.check is not None:
            name, condition = self.to.check_name(table, column), self.to.check.render(table.name.name, None)
            found.append(rules.check(place, name, condition, subject=name, shown=f"the check {name}"))
        if self.to.wants_unique(table, column):
            name, shown = self.to.key_name(table, column), f"{table.name} ({column})"
            found.append(key_rule(place, name, Key((column,)), subject=name, shown=shown))
        if refers is not None:
            found.append(refers.rule)
        return list(ruled(self.context, place, found))

    def _nullable(self) -> Ddl:
        column, table = self.column.name, self.table
        if any(c.kind == "primary_key" and column in c.columns for c in table.constraints):
            self.context.refuse(f"{column} is in the primary key of {table.name}", why="a key has no NULL in it")
        shown = f"{table.name}.{column}"
        again = rules.not_null_again(self.context.place(table, EXPAND), column, subject=f"old {column}", shown=shown)
        step = self._step(EXPAND, "nullable", self._altering("DROP NOT NULL"), self._altering("SET NOT NULL"))
        return step.model_copy(
            update={"undo": again, "undo_title": "prove that every row has a value, without a lock, and set NOT NULL"}
        )

    def _type(self) -> tuple[tuple[Ddl, ...], list[Hazard]]:
        table, column, wanted = self.table, self.column, self.wanted
        follow = following(self.context, table, column, wanted, "cutover")
        # Policies and triggers, which ALTER TYPE does not bear; nor does it a view, where none is dropped for it.
        if wanted == column.type or not all(each.drop for each in follow.followers):
            refuse_dependents(self.context, table, frozenset({column.name}))
        over = ordered(follow.followers)
        read = readers(self.context, table, column, wanted)
        anew = (recompile(read.signatures),) if read.signatures else ()
        # Without COLLATE the column would get the type's own, and its indexes be built again.
        shapes = ((wanted, self._collation), (column.type, column_collation(column)))
        forth, back = (
            (
                *taken_away(over),
                *self._altering(f"TYPE {type_}" + (f" COLLATE {collation}" if collation else "")),
                *made_again(over),
                *anew,
            )
            for type_, collation in shapes
        )
        # PostgreSQL makes a foreign key anew, without a scan, and its triggers on the parent.
        bound = [c for c in table.constraints if c.kind == "foreign_key" and column.name in c.columns]
        more = (
            *lock_followers(relation(table.name), over),
            *lock_parents(relation(table.name), carry.parents_of(bound), "ACCESS EXCLUSIVE"),
        )
        leg = stage_leg("cutover")
        widened = self._step(leg, "type", forth, back, more)
        sampled, sampled_back = (
            tuple(sampled_again(step_id, leg, self.context.database, over))
            for step_id in (widened.id, f"{widened.id}/undo")
        )
        widened = widened.model_copy(update={"undo": (*widened.undo, *sampled_back)})
        hazards = [
            *read.hazards,
            *follow.hazards,
            prepared_hazard(table, "warning", "after cutover", what=f"`{column.name}`"),
        ]
        if not comes_back_alone(self.context, column, wanted):
            gone = f"PostgreSQL would rewrite {table.name} while nobody can read it to make it {column.type} again"
            widened = widened.model_copy(update={"undo": (), "undo_title": gone, "irreversible": True})
            hazards.append(_no_way_back(table, column, wanted))
        return (widened, *sampled), hazards

    @property
    def _collation(self) -> str | None:
        return collated(self.context, self.column, self.to, self.wanted)

    def _checks_dropped(self) -> Iterator[Ddl]:
        table, names = self.table, self.to.dropped_checks(self.table, self.column.name)
        if not names:
            return
        dropped = sql.SQL(", ").join(sql.SQL("DROP CONSTRAINT {}").format(sql.Identifier(name)) for name in names)
        statement = sql.SQL("ALTER TABLE {} {}").format(identifier(table.name), dropped)
        leg = stage_leg("cutover")
        yield self._step(leg, "checks", text(statement), ()).model_copy(
            update={
                "undo": tuple(carry.checks_again(table, names, self.context.place(table, leg))),
                "undo_title": "prove that every row keeps the checks, without a lock, and add them again",
            }
        )

    def _default(self) -> Ddl:
        before, after = self.column.default, self.to.default
        back = f"SET DEFAULT {before}" if before is not None else "DROP DEFAULT"
        forth = f"SET DEFAULT ({after})" if after is not None else "DROP DEFAULT"
        return self._step(stage_leg("cutover"), "default", self._altering(forth), self._altering(back))

    def _comment(self) -> Ddl:
        name = sql.Identifier(self.table.name.schema, self.table.name.name, self.column.name)
        forth, back = (
            text(sql.SQL("COMMENT ON COLUMN {} IS {}").format(name, sql.Literal(comment)))
            for comment in (self.to.comment, self.column.comment)
        )
        return self._step(EXPAND, "comment", forth, back)

    def _altering(self, clause: str) -> tuple[str, ...]:
        return text(alter_column(self.table.name, self.column.name, trusted(clause)))

    def _step(
        self, leg: Leg, what: str, forth: tuple[str, ...], back: tuple[str, ...], more: tuple[Lock, ...] = ()
    ) -> Ddl:
        mode = "SHARE UPDATE EXCLUSIVE" if what == "comment" else "ACCESS EXCLUSIVE"
        shown = f"{self.table.name}.{self.column.name}"
        step_id = f"{self.table.name}/{self.column.name}/{what}"
        undo: tuple[AnyStep, ...] = (
            Ddl(
                id=f"{step_id}/undo",
                leg=leg,
                database=self.context.database,
                title=f"set the {what} of {shown} back",
                locks=(*lock(relation(self.table.name), mode), *more),
                statements=back,
            ),
        )
        return Ddl(
            id=step_id,
            leg=leg,
            database=self.context.database,
            title=f"change the {what} of {shown}",
            locks=(*lock(relation(self.table.name), mode), *more),
            statements=forth,
            undo=undo,
            undo_title=f"set the {what} back",
        )


def comes_back_alone(context: Context, column: Column, wanted: str) -> bool:
    """The catalog alone makes the column what it was again."""
    return wanted == column.type or catalog_only(wanted, column.type, context.catalog.domains)


def collated(context: Context, column: Column, to: Target, wanted: str) -> str | None:
    """The collation that the column shall have, as SQL names it; None: its type's."""
    if to.collation is None:
        texts = {_TEXTS.sub("text", type_) for type_ in (wanted, column.type)} == {"text"}
        return column_collation(column) if wanted == column.type or texts else None
    with context.at("to", "collation"):
        found = context.probe.collation(to.collation)
        quoted = sql.Identifier(found.schema, found.name).as_string(None)
        context.probe.expression(Expression(f"x COLLATE {quoted}"), table="t", row={"x": wanted})
    return None if found == _ITS_TYPES_OWN else quoted


def column_collation(column: Column) -> str | None:
    """As SQL names it; None where the type has none."""
    if column.collation is None:
        return None
    return sql.Identifier(column.collation.schema, column.collation.name).as_string(None)


def _no_way_back(table: Table, column: Column, wanted: str) -> Hazard:
    return Hazard(
        "no-way-back",
        "danger",
        f"from cutover on the migration cannot be rolled back: PostgreSQL would rewrite {table.name} under ACCESS"
        f" EXCLUSIVE to make {column.name} {column.type} again, and fail on a value that only {wanted} can hold",
        "leave `strategy` out to copy the column beside live traffic; or change it back with a migration of its own,"
        " which copies too",
    )


def _null_holds_up(table: Table, column: Column) -> Hazard:
    return Hazard(
        "null-holds-up-rollback",
        "note",
        f"rows whose {column.name} a new version leaves NULL hold up a rollback: they are counted in {table.name}"
        " before anything is taken back",
        "give them a value then",
    )
