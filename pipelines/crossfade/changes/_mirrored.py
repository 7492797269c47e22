"""Columns that go to another table: what the kinds share that keep two tables in step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from crossfade.catalog.model import Table
from crossfade.changes._change import Compiled, Hazard, Mapped, Need
from crossfade.changes._context import Context
from crossfade.changes._obstacles import (
    refuse_branched,
    refuse_dependents,
    refuse_lost_with_column,
    refuse_own_sequence,
)
from crossfade.changes._prepared import prepared_hazard
from crossfade.changes._ruled import ruled
from crossfade.changes._triggers import refuse_naming_triggers
from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.spec.values import LONGEST_NAME
from crossfade.steps import carry, definitions, rules
from crossfade.steps.compose import identifier, lock, text
from crossfade.steps.indexes import drop_index
from crossfade.steps.mirror import Mirror, walks
from crossfade.steps.mirror import course as mirrored
from crossfade.steps.rows import Pair
from crossfade.steps.rules import Place
from crossfade.steps.step import EXPAND, VALIDATE, AnyStep, BuildIndex, Ddl
from crossfade.steps.tuning import Tuning


@dataclass(frozen=True)
class Moved:
    """Columns of a table that go to another one.

    columns: old name -> name there.
    """

    context: Context
    table: Table
    mirror: Mirror

    @property
    def columns(self) -> Mapping[str, str]:
        return dict(zip(self.mirror.left.columns, self.mirror.right.columns, strict=True))

    @property
    def place(self) -> Place:
        """Where rules on the table are added that the columns go to."""
        right = self.mirror.right
        return Place(self.context.migration, self.context.database, right.relation, right.key, self.context.rules_leg)


def refuse_unmovable(context: Context, table: Table, columns: tuple[str, ...], *at: str | int) -> tuple[Hazard, ...]:
    """What of the columns could not follow to another table, by name. at: the key that names the columns."""
    refuse_branched(context, table)
    refuse_new(context, table)
    if table.kind == "partitioned":
        context.refuse(
            f"{table.name} is partitioned",
            why="its indexes and foreign keys are those of every partition, and could not be carried to another table",
            fix="add the columns to the other table, and fill them with `update_rows`",
        )
    hazards: tuple[Hazard, ...] = ()
    for name in columns:
        column = context.column(table, name, *at)
        with context.at(*at):
            if column.generated:
                context.refuse(f"{table.name}.{name} is a generated column", why="it cannot be written")
            refuse_own_sequence(context, table, column)
            refuse_lost_with_column(context, table, column)
            hazards += refuse_naming_triggers(context, table, name)
    gone = frozenset(columns)
    hazards += refuse_dependents(context, table, gone)
    _refuse_mixed(context, table, gone)
    refuse_hidden_rows(context, table)
    return hazards


def refuse_new(context: Context, table: Table) -> None:
    if context.is_new(table):
        context.refuse(
            f"{table.name} is made by this migration",
            why="nobody writes it yet, so there is nothing to keep in step",
            fix="create it as it shall be in the end; for a new table with a row for each row of another one, use"
            " `split_table`",
        )


def refuse_hidden_rows(context: Context, table: Table) -> None:
    """Our functions run as the role that migrates, which must see every row."""
    if table.force_row_security and not context.catalog.role.sees_every_row:
        context.refuse(
            f"row security of {table.name} is forced on its owner too",
            why="what keeps both tables in step runs as the role that migrates, and would not find the rows it must",
            fix=f"ALTER TABLE {identifier(table.name).as_string(None)} NO FORCE ROW LEVEL SECURITY while it runs, or"
            " migrate as a role with BYPASSRLS",
        )


def _refuse_mixed(context: Context, table: Table, gone: frozenset[str]) -> None:
    mixed = [(f"index {i.name}", i.reads) for i in carry.indexes_reading(table, gone)]
    found = carry.constraints_reading(table, gone)
    mixed += [(f"constraint {c.name}", frozenset(c.columns)) for c in found]
    for shown, reads in mixed:
        if stay := sorted(reads - gone):
            context.refuse(
                f"{shown} of {table.name} is over {', '.join(sorted(reads & gone))} and over {stay[0]}, which stays",
                why="no index and no rule spans two tables",
                fix="drop it before this migration, or let all of its columns go",
            )
    for constraint in (c for c in table.constraints if c.kind == "unique" and gone & set(c.columns)):
        if constraint.deferrable and "INITIALLY DEFERRED" not in constraint.definition:
            context.refuse(
                f"constraint {constraint.name} of {table.name} is DEFERRABLE INITIALLY IMMEDIATE",
                why="rows are carried one by one, and the other table would refuse what is right when the statement has"
                " written all of its rows",
                fix="make it one that is not deferrable, or INITIALLY DEFERRED, in a migration before",
            )
    if open_ := [c.name for c in found if not c.validated]:
        context.refuse(
            f"constraint {open_[0]} of {table.name} is NOT VALID",
            why="the other table gets it proved, and rows that break it could not be carried over",
            fix=f"ALTER TABLE {identifier(table.name).as_string(None)} VALIDATE CONSTRAINT"
            f" {sql.Identifier(open_[0]).as_string(None)} first, or drop it",
        )


def kept_in_step(moved: Moved, before: AnyStep, *, hazards: tuple[Hazard, ...]) -> Compiled:
    """Everything from the first trigger on; before: what makes room on the other side."""
    context, table, mirror = moved.context, moved.table, moved.mirror
    right = mirror.right.table
    required = [
        rules.not_null(moved.place, name, lasting=name, subject=name, shown=f"{right}.{name}")
        for name in (moved.columns[column.name] for column in mirror.given if column.not_null)
    ]
    pair = Pair(title=f"{', '.join(mirror.left.columns)} of {table.name} to {right}", old=mirror.left.columns, new=())
    steps = (
        before,
        *_free(moved),
        *mirrored.expand(mirror),
        walks.fill(mirror),
        mirrored.parity(mirror, VALIDATE),
        *_carried(moved),
        *ruled(context, moved.place, required),
    )
    return Compiled(
        steps=steps,
        pairs=((table.name, pair),),
        mirrors=(mirror,),
        needs=tuple(
            Need(half.table, column, follows=False) for half in (mirror.left, mirror.right) for column in half.key
        ),
        hazards=(
            *hazards,
            Hazard(
                "held-rows",
                "note",
                "a write of a row whose other half somebody holds waits for it, all writes of a transaction together"
                f" for up to a second; what is held longer is carried over later, and {mirror.shown} differ until then",
                "end transactions soon that write or lock these rows",
            ),
            prepared_hazard(table, "warning", "after retire and drop"),
        ),
        maps=tuple(Mapped(right, there, (here,), here, table.name) for here, there in moved.columns.items()),
    )


def add_columns(mirror: Mirror) -> Iterator[sql.Composable]:
    """Statements that add the columns to the right table, empty in rows that are there."""
    for column, name in zip(mirror.given, mirror.right.columns, strict=True):
        collation = (
            sql.SQL(" COLLATE {}").format(sql.Identifier(column.collation.schema, column.collation.name))
            if column.collation
            else sql.SQL("")
        )
        yield _alter(
            mirror, sql.SQL("ADD COLUMN {} {}{}").format(sql.Identifier(name), trusted(column.type), collation)
        )
        if column.default is not None:
            default = sql.SQL("ALTER COLUMN {} SET DEFAULT {}").format(sql.Identifier(name), trusted(column.default))
            yield _alter(mirror, default)
        for clause in Tuning.of(column).clauses(name):
            yield _alter(mirror, clause)
        if column.comment is not None:
            table = mirror.right.table
            yield sql.SQL("COMMENT ON COLUMN {} IS {}").format(
                sql.Identifier(table.schema, table.name, name), sql.Literal(column.comment)
            )


def _name_there(moved: Moved, name: str) -> str:
    """What an index or constraint is called on the other table: `users_mail_key` becomes `accounts_mail_key`."""
    context, table, right = moved.context, moved.table, moved.mirror.right.table
    rest = name.removeprefix(f"{table.name.name}_")
    made = f"{right.name}_{rest}".encode()[:LONGEST_NAME].decode(errors="ignore")
    taken = {index.name: other for other in context.catalog.tables.values() for index in other.indexes}
    if made in taken:
        context.refuse(
            f"index {made} exists already on {taken[made].name}",
            why=f"{name} of {table.name} is to be called so on {right}",
            fix=f"rename one of both first: ALTER INDEX {sql.Identifier(name).as_string(None)} RENAME TO ...",
        )
    return made


def _alter(mirror: Mirror, clause: sql.Composable) -> sql.Composable:
    return sql.SQL("ALTER TABLE {} {}").format(mirror.right.sql, clause)


def _free(moved: Moved) -> Iterator[AnyStep]:
    """NOT NULL of the old columns goes: the new version writes half a row first."""
    bound = [column.name for column in moved.mirror.given if column.not_null]
    if not bound:
        return
    left = moved.mirror.left.relation
    place = Place(moved.context.migration, moved.context.database, left, moved.table.key, EXPAND)
    again: list[AnyStep] = []
    for name in bound:
        asked, first, *rest = rules.not_null_again(place, name, subject=f"moved {name}", shown=f"{left}.{name}")
        # Not asked before anything is taken back: the column may be hidden then, or gone.
        again += (first, asked, *rest)
    yield Ddl(
        id=moved.mirror.id("free"),
        leg=EXPAND,
        database=moved.mirror.database,
        title=f"let {', '.join(bound)} of {left} be empty, for rows of the new version",
        locks=lock(left, "ACCESS EXCLUSIVE"),
        statements=text(
            *(
                sql.SQL("ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL").format(
                    moved.mirror.left.sql, sql.Identifier(name)
                )
                for name in bound
            )
        ),
        undo=tuple(again),
        undo_title="make them NOT NULL again",
    )


def _carried(moved: Moved) -> Iterator[AnyStep]:
    """The same indexes and constraints on the other table, under their lasting names."""
    context, table, right = moved.context, moved.table, moved.mirror.right
    gone = frozenset(moved.columns)
    place = Place(context.migration, context.database, right.relation, right.key, VALIDATE)
    for index in carry.indexes_reading(table, gone):
        name = _name_there(moved, index.name)
        subject = moved.mirror.id("carry", index.name)
        yield BuildIndex(
            id=subject,
            leg=VALIDATE,
            database=context.database,
            title=f"build index {name} on {right.table}, as {index.name} is",
            locks=lock(right.relation, "SHARE UPDATE EXCLUSIVE"),
            relation=right.relation,
            index=name,
            unique=index.unique,
            statement=definitions.carried_index(index, name=name, columns=moved.columns, table=right.relation),
            undo=(drop_index(place, name, f"{subject}/undo"),),
            undo_title="drop the index",
        )
        if index.constraint:
            yield Ddl(
                id=f"{subject}/constraint",
                leg=VALIDATE,
                database=context.database,
                title=f"make it the unique constraint {name}",
                locks=lock(right.relation, "ACCESS EXCLUSIVE"),
                statements=text(carry.using_index(right.relation, table, index, name)),
                undo=(rules.drop_constraint(place, name, f"{subject}/constraint/undo"),),
                undo_title="drop the constraint",
            )
    for constraint in carry.constraints_reading(table, gone):
        name = _name_there(moved, constraint.name)
        statement = definitions.carried_constraint(right.relation, constraint, name=name, columns=moved.columns)
        yield from rules.constrain(
            place,
            name,
            statement,
            subject=f"carry/{name}",
            shown=f"{name} on {right.table}",
            parents=carry.parents_of((constraint,)),
        )
