"""Indexes and constraints of a replaced column, rebuilt for the column that replaces it.

Definitions come from the catalog and are rewritten by their syntax tree: names of columns are replaced where they
are column names, never in text.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from crossfade.catalog.model import Constraint, Index, Table, View
from crossfade.composing import sql
from crossfade.spec.fragment import Expression, trusted
from crossfade.spec.model import Stage
from crossfade.steps import rules
from crossfade.steps.compose import identifier, lock, relation, text
from crossfade.steps.definitions import carried_constraint, carried_index, check_text, moment_of
from crossfade.steps.indexes import drop_index
from crossfade.steps.rows import Sides
from crossfade.steps.rules import Place
from crossfade.steps.step import VALIDATE, AnyStep, BuildIndex, Ddl, Leg, Relation


def steps(sides: Sides) -> Iterator[AnyStep]:
    """Build the same indexes and constraints for the new side, under names of our own until the turn."""
    columns = _replacements(sides)
    for index in indexes_reading(sides.table, frozenset(columns)):
        name = sides.own("index", index.name)
        place = _place(sides, sides.binding_leg(index.reads) if index.unique else VALIDATE)
        yield BuildIndex(
            id=sides.id("carry", index.name),
            leg=place.leg,
            database=sides.database,
            title=f"build index {index.name} for the new side",
            locks=lock(sides.relation, "SHARE UPDATE EXCLUSIVE"),
            relation=sides.relation,
            index=name,
            unique=index.unique,
            statement=carried_index(index, name=name, columns=columns),
            undo=(drop_index(place, name, sides.id("carry", index.name, "undo")),),
            undo_title="drop the index",
        )
        if index.constraint:
            yield Ddl(
                id=sides.id("carry", index.name, "constraint"),
                leg=place.leg,
                database=sides.database,
                title=f"make it the unique constraint {index.constraint} for the new side",
                locks=lock(sides.relation, "ACCESS EXCLUSIVE"),
                statements=text(_using_index(sides, index, name)),
                undo=(rules.drop_constraint(place, name, sides.id("carry", index.name, "constraint", "undo")),),
                undo_title="drop the constraint",
            )
    for constraint in staying_constraints(sides, frozenset(columns)):
        name = sides.own("constraint", constraint.name)
        place = _place(sides, sides.binding_leg(constraint.columns))
        statement = carried_constraint(sides.relation, constraint, name=name, columns=columns)
        subject, shown = f"carry/{constraint.name}", f"{constraint.name} on the new side"
        add, validate = rules.constrain(
            place, name, statement, subject=subject, shown=shown, parents=parents_of((constraint,))
        )
        yield add
        if constraint.validated:
            yield validate


def renames(sides: Sides, stage: Stage) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """At the turn each name goes over to the new side's object and the old side's is hidden: statements forth, back.

    An object over columns that turn at different stages goes over with the last of them.
    """
    columns = frozenset(_replacements(sides))
    late = {name for pair in sides.pairs if pair.turns_at == "retire" for name in pair.old}
    schema = sides.table.name.schema

    def turns_now(reads: Collection[str]) -> bool:
        return ("retire" if late & set(reads) else "cutover") == stage

    def names(
        name: str, own: str, hidden: str, constraint: bool, told: list[sql.Composable], back: list[sql.Composable]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        def rename(old: str, new: str) -> sql.Composable:
            if constraint:
                return sides.alter("RENAME CONSTRAINT {} TO {}", old, new)
            return sql.SQL("ALTER INDEX {} RENAME TO {}").format(sql.Identifier(schema, old), sql.Identifier(new))

        return (
            text(rename(name, hidden), rename(own, name), *told),
            text(rename(name, own), rename(hidden, name), *back),
        )

    for index in indexes_reading(sides.table, columns):
        if turns_now(index.reads & columns):
            own, hidden = sides.own("index", index.name), sides.own("old", index.name)
            told, back = [*told_of_index(sides.table, index, index.name)], [*_clustered(sides.table, index, index.name)]
            yield names(index.name, own, hidden, bool(index.constraint), told, back)
    for found in staying_constraints(sides, columns):
        if turns_now(columns & set(found.columns)):
            own, hidden = sides.own("constraint", found.name), sides.own("old", found.name)
            yield names(found.name, own, hidden, True, [*told_of_constraint(sides.sql, found, found.name)], [])


def old_again(sides: Sides, leg: Leg) -> Iterator[AnyStep]:
    """Indexes and constraints that went with the dropped old columns, built again over the columns that came back."""
    columns = {name: sides.hidden(name) for name in sides.leaving}
    replaced = frozenset(_replacements(sides))
    place = _place(sides, leg)
    for index in indexes_reading(sides.table, frozenset(columns)):
        name = sides.own("old", index.name) if index.reads & replaced else index.name
        yield BuildIndex(
            id=sides.id("again", index.name),
            leg=leg,
            database=sides.database,
            title=f"build index {index.name} for the old side again",
            locks=lock(sides.relation, "SHARE UPDATE EXCLUSIVE"),
            relation=sides.relation,
            index=name,
            unique=index.unique,
            statement=carried_index(index, name=name, columns=columns),
        )
        if index.constraint:
            yield Ddl(
                id=sides.id("again", index.name, "constraint"),
                leg=leg,
                database=sides.database,
                title=f"make it the unique constraint {index.constraint} again",
                locks=lock(sides.relation, "ACCESS EXCLUSIVE"),
                statements=text(_using_index(sides, index, name)),
            )
        told = told_of_index(sides.table, index, name)
        yield from tell_again(place, sides.id("again", index.name, "tell"), f"{index.name} of the old side", told)
    for constraint in staying_constraints(sides, frozenset(columns)):
        name = sides.own("old", constraint.name) if set(constraint.columns) & replaced else constraint.name
        statement = carried_constraint(sides.relation, constraint, name=name, columns=columns)
        subject, shown = f"again/{constraint.name}", f"{constraint.name} on the old side"
        yield from rules.constrain(
            place, name, statement, subject=subject, shown=shown, parents=parents_of((constraint,))
        )
        told = told_of_constraint(sides.sql, constraint, name)
        yield from tell_again(
            place, sides.id("again", constraint.name, "tell"), f"{constraint.name} of the old side", told
        )


def tell_again(place: Place, step_id: str, shown: str, told: Iterable[sql.Composable]) -> Iterator[Ddl]:
    """What was told of an index or a constraint, of the one that was made again; no step where nothing was.

    shown: what it is called, for people.
    """
    if statements := text(*told):
        yield Ddl(
            id=step_id,
            leg=place.leg,
            database=place.database,
            title=f"give {shown} its comment and settings again",
            locks=lock(place.relation, "SHARE UPDATE EXCLUSIVE"),
            statements=statements,
        )


def told_of_index(table: Table | View, index: Index, name: str) -> Iterator[sql.Composable]:
    """What was told of the index beside its definition, for the one that stands for it under a name."""
    qualified = sql.Identifier(table.name.schema, name)
    if index.comment is not None:
        yield sql.SQL("COMMENT ON INDEX {} IS {}").format(qualified, sql.Literal(index.comment))
    for place, target in index.statistics:
        yield sql.SQL("ALTER INDEX {} ALTER COLUMN {} SET STATISTICS {}").format(
            qualified, sql.Literal(place), sql.Literal(target)
        )
    yield from _clustered(table, index, name)
    if isinstance(table, Table):
        for found in table.constraints if index.constraint else ():
            if found.name == index.constraint:
                yield from told_of_constraint(identifier(table.name), found, name)


def _clustered(table: Table | View, index: Index, name: str) -> Iterator[sql.Composable]:
    """Of a table's indexes one bears the mark, so it goes over, and back."""
    if index.clustered:
        yield sql.SQL("ALTER TABLE {} CLUSTER ON {}").format(identifier(table.name), sql.Identifier(name))


def told_of_constraint(table: sql.Identifier, constraint: Constraint, name: str) -> Iterator[sql.Composable]:
    """What was told of the constraint, for the one of its table that stands for it under a name."""
    if constraint.comment is not None:
        yield sql.SQL("COMMENT ON CONSTRAINT {} ON {} IS {}").format(
            sql.Identifier(name), table, sql.Literal(constraint.comment)
        )


def promised(sides: Sides) -> list[str]:
    """The names, in the end, of what `steps` builds."""
    columns = frozenset(_replacements(sides))
    constraints = [found.name for found in staying_constraints(sides, columns) if found.validated]
    return sorted({*constraints, *(index.name for index in indexes_reading(sides.table, columns))})


def _replacements(sides: Sides) -> dict[str, str]:
    """Old column -> the column that takes its place (physical, side by side), where there is exactly one."""
    return {pair.old[0]: sides.physical(pair.new[0]) for pair in sides.pairs if len(pair.old) == len(pair.new) == 1}


def _place(sides: Sides, leg: Leg) -> Place:
    return Place(sides.migration, sides.database, sides.relation, sides.key, leg)


def _using_index(sides: Sides, index: Index, name: str) -> sql.Composable:
    return using_index(sides.relation, sides.table, index, name)


def using_index(on: Relation, table: Table, index: Index, name: str) -> sql.Composable:
    """The unique constraint over a built index `name`, checked when the one of `table` that it replaces is checked."""
    moment = trusted(moment_of(table, index.constraint))
    return sql.SQL("ALTER TABLE {} ADD CONSTRAINT {name} UNIQUE USING INDEX {name}{}").format(
        sql.Identifier(on.schema_name, on.name), moment, name=sql.Identifier(name)
    )


def indexes_reading(table: Table, columns: frozenset[str]) -> tuple[Index, ...]:
    """Valid indexes that read any of the columns, the primary key left out."""
    return tuple(index for index in table.indexes if index.reads & columns and index.valid and not index.primary)


def constraints_reading(table: Table, columns: frozenset[str]) -> tuple[Constraint, ...]:
    """Checks and foreign keys over any of the columns (unique constraints come with their index)."""
    return tuple(
        constraint
        for constraint in table.constraints
        if constraint.kind in ("check", "foreign_key") and columns & set(constraint.columns)
    )


def staying_constraints(sides: Sides, columns: frozenset[str]) -> tuple[Constraint, ...]:
    """The same of a table in transition, without foreign keys that follow another table's key, and checks that go."""
    found = constraints_reading(sides.table, columns)
    return tuple(each for each in found if each.name not in sides.handed_over and each.name not in sides.shed)


def checks_again(table: Table, names: Collection[str], place: Place) -> Iterator[AnyStep]:
    """The undo of checks that were dropped: rows that break one are counted first, then it is added and proved."""
    for constraint in (found for found in table.constraints if found.name in names):
        subject, shown = f"old {constraint.name}", f"the check {constraint.name}"
        condition = Expression(check_text(constraint)).render(table.name.name, None)
        rule = rules.check(place, constraint.name, condition, subject=subject, shown=shown)
        asked, *proved = rule.steps
        yield asked.model_copy(update={"fix": "give these rows another value, then roll back again"})
        yield from proved
        yield Ddl(
            id=place.id(subject, "check", "again"),
            leg=place.leg,
            database=place.database,
            title=f"give {constraint.name} its name again",
            locks=lock(place.relation, "ACCESS EXCLUSIVE"),
            statements=(*rule.finish, *text(*told_of_constraint(place.sql, constraint, constraint.name))),
        )


def parents_of(constraints: Iterable[Constraint]) -> tuple[Relation, ...]:
    """The tables that those of them which are foreign keys point at."""
    parents = [found.references for found in constraints if found.references is not None]
    return tuple(relation(parent) for parent in parents)
