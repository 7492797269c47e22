"""drop_enum_value: a word less; the type is made anew, and its columns go over to it beside live traffic."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import LiteralString

from pydantic import Field

from crossfade.catalog.model import Column, Enum, Name, Table
from crossfade.changes._change import Change, Compiled, Hazard, Mapped
from crossfade.changes._context import Context
from crossfade.changes._enum import Word, found_enum, refuse_unknown_value
from crossfade.changes._instant import instant
from crossfade.changes._obstacles import refuse_branched, refuse_dependents, refuse_lost_with_column
from crossfade.changes._prepared import prepared_hazard
from crossfade.changes._triggers import readers, refuse_late_triggers
from crossfade.composing import sql
from crossfade.spec.fragment import Expression
from crossfade.spec.values import Identifier
from crossfade.steps.aside import forgotten, noted
from crossfade.steps.compose import identifier
from crossfade.steps.rows import NewColumn, Pair, RenamedType
from crossfade.steps.step import EXPAND, AnyStep, stage_leg
from crossfade.steps.tuning import Tuning
from crossfade.steps.types import OURS, made_again

_PLAIN_ARRAY = re.compile(r"'\{([^'\"{}\\]*)\}'::.*")


class DropEnumValue(Change):
    """Drop a value of an enum.

    PostgreSQL takes no value out of an enum. So the enum is made anew without it, and each column of it, or of an array
    of it, gets a column of the new enum beside it, kept in step and filled in batches. At `cutover`, in one short
    transaction over all of their tables, the columns swap names and so do the two types: casts to the enum's name go on
    working.

    ## Old and new versions

    Until `cutover` both versions write the old column, the old one with the value that goes. A row that holds it
    becomes the value under `to`; without `to` it is in conflict, and cutover waits until it holds another. From
    `cutover` on the value is refused, of either version.

    ## Undo

    Turns back at once until `archive`, then from the archive; a row that was mapped has the old value again, unless the
    new version wrote it since.

    ## Locks

    ACCESS EXCLUSIVE on a table for an instant, in expand, at archive and drop; on all tables with columns of the enum
    at once for an instant, at cutover. Rows are walked in batches, and validated by scans that let reads and writes go
    on.

    ## Hazards

    - `removed-word`: from cutover on a statement that sends the value fails.
    - `prepared-statements`, `column-order`, `copies-column`: as with [change_column](change_column.md).

    Refused: functions, views, checks, index conditions and other types that use it, by name; a default that is the
    value which goes, unless `to` says what it becomes; an enum that the same migration makes. The old enum stays in the
    schema `crossfade` with the archive, and goes with it by `crossfade purge`.

    ## Example

    ```yaml
    changes:
      - drop_enum_value: {enum: order_status, value: lost, to: cancelled}
    ```
    """

    enum: Identifier = Field(description="The enum's name, in the `schema` of the database, or `schema.name`.")
    value: Word = Field(description="The word that goes.")
    to: Word | None = Field(
        None, description="What rows that hold it get, in arrays too; without it they are in conflict."
    )

    def compile(self, context: Context) -> Compiled:
        """A new type and two functions in expand, a pair for each column, the functions gone in drop."""
        enum = found_enum(context, self.enum)
        refuse_unknown_value(context, enum, self.value, "value")
        if self.to is not None:
            refuse_unknown_value(context, enum, self.to, "to")
        if self.to == self.value or len(enum.values) == 1:
            what = f"{enum.name} has no value but {self.value}" if len(enum.values) == 1 else "`to` is what goes"
            context.refuse(what, fix="say another value under `to`, or drop the column and the type", at=("value",))
        stored = self._stored(context, enum)
        new = replace(
            enum,
            name=Name(OURS, context.own("enum_new", enum.name.schema, enum.name.name)),
            values=tuple(value for value in enum.values if value != self.value),
        )
        old = Name(OURS, context.own("enum_old", enum.name.schema, enum.name.name))
        maps = _Maps(context, enum, new, old, self.value, self.to, arrays=any(_is_array(c) for _, c in stored))
        if not stored:
            return Compiled(steps=(_at_once(context, enum, new),))
        tables = list({table.name: table for table, _ in stored}.values())
        hazards: list[Hazard] = []
        for table in tables:
            refuse_branched(context, table)
            columns = frozenset(column.name for its, column in stored if its is table)
            hazards += refuse_dependents(context, table, columns)
            refuse_late_triggers(context, table, columns)
        pairs: list[tuple[Name, Pair]] = []
        for table, column in stored:
            refuse_lost_with_column(context, table, column)
            read = readers(context, table, column, new.name.name)
            hazards += read.hazards
            pair = maps.pair(column, self._default(context, enum, table, column), read.signatures)
            pairs.append((table.name, pair))
        return Compiled(
            steps=tuple(maps.steps()),
            pairs=tuple(pairs),
            hazards=(*hazards, self._removed(enum), *(told for table in tables for told in _hazards(enum, table))),
            maps=tuple(
                Mapped(name, column.name, pair.old, pair.up[column.name].text)
                for name, pair in pairs
                for column in pair.new
            ),
        )

    def _stored(self, context: Context, enum: Enum) -> Sequence[tuple[Table, Column]]:
        """The columns of the enum and of arrays of it; refuses by name whatever else uses it."""
        if enum.name in context.made_types:
            context.refuse(
                f"{enum.name} is made by this migration", fix="leave the value out there, and this change", at=("enum",)
            )
        paths = {use.path for use in enum.uses if use.kind == "table column"}
        stored = [
            (table, column)
            for table in context.catalog.tables.values()
            if table.partition_of is None
            for column in table.columns
            if (table.name.schema, table.name.name, column.name) in paths
        ]
        own = {
            (part.name.schema, part.name.name, column.name)
            for table, column in stored
            for part in context.catalog.tree(table.name)
        }
        if others := [
            use for use in enum.uses if use.kind not in ("table column", "default value") or use.path not in own
        ]:
            context.refuse(
                f"{enum.name} is used by {', '.join(map(str, others))}",
                why="it names the type that goes, or one of its values, and would hold on to it",
                fix="drop it before this migration and create it again after it",
                at=("enum",),
            )
        return stored

    def _default(self, context: Context, enum: Enum, table: Table, column: Column) -> str | None:
        """The default of the new column: the same words, or what they become."""
        if column.default is None:
            return None
        words = _words(column, enum)
        if words is None:
            context.refuse(
                f"the default of {table.name}.{column.name} is no plain value: {column.default}",
                why="it is of the type that goes",
                fix="give the column a plain value as its default first, or none",
                at=("enum",),
            )
        if self.value in words and self.to is None:
            context.refuse(
                f"the default of {table.name}.{column.name} is {self.value}, which goes",
                fix="say under `to` what it becomes, or give the column another default first",
                at=("value",),
            )
        kept = [self.to if word == self.value and self.to is not None else word for word in words]
        written = "{" + ",".join(kept) + "}" if _is_array(column) else kept[0]
        return sql.SQL("{}::{}").format(sql.Literal(written), _typed(enum.name, _suffix(column))).as_string(None)

    def _removed(self, enum: Enum) -> Hazard:
        outcome = f"becomes {self.to}" if self.to else "is in conflict, and cutover waits until it holds another"
        what = f"a row with {self.value} {outcome}; from cutover on a statement that sends {self.value} to {enum.name}"
        return Hazard(
            "removed-word", "warning", f"{what} fails", "let a gate hold cutover back until no version sends it"
        )


def _hazards(enum: Enum, table: Table) -> tuple[Hazard, ...]:
    copied = f"every row of {table.name} is written once: PostgreSQL takes no value out of an enum"
    last = f"after cutover the columns of {enum.name} stand last in {table.name}: an INSERT without column names"
    return (
        Hazard("copies-column", "note", copied),
        Hazard("column-order", "note", f"{last} would write the hidden old ones", "name the columns in INSERT"),
        prepared_hazard(table, "warning", "after expand, cutover and drop"),
    )


def _words(column: Column, enum: Enum) -> list[str] | None:
    """The words of a default that is a plain value of the enum, or a plain array of its values."""
    for value in enum.values:
        if column.default == f"{sql.Literal(value).as_string(None)}::{column.type}":
            return [value]
    plain = _PLAIN_ARRAY.fullmatch(column.default or "")
    words = [word for word in plain[1].split(",") if word] if plain and _is_array(column) else None
    return words if words is not None and set(words) <= set(enum.values) else None


def _is_array(column: Column) -> bool:
    return column.type.endswith("[]")


def _suffix(column: Column) -> LiteralString:
    return "[]" if _is_array(column) else ""


def _typed(name: Name, suffix: LiteralString) -> sql.Composable:
    """The type, or arrays of it."""
    return sql.SQL("{}{}").format(identifier(name), sql.SQL(suffix))


class _Maps:
    """The new type, and the functions that make a value of one type one of the other.

    They hold on to the types themselves, so that they go on meaning the same when these get other names.
    """

    def __init__(
        self, context: Context, enum: Enum, new: Enum, old: Name, value: str, to: str | None, *, arrays: bool
    ) -> None:
        self._context, self._enum, self._new, self._old = context, enum, new, old
        self._value, self._to = value, to
        self._suffixes: tuple[LiteralString, ...] = ("", "[]") if arrays else ("",)
        self._up, self._down = (
            Name(OURS, context.own(purpose, enum.name.schema, enum.name.name)) for purpose in ("up", "down")
        )

    def steps(self) -> list[AnyStep]:
        context, maker = self._context, self._context.catalog.role.name
        keep, subject = context.head.contract.keep, str(self._enum.name)
        made = [*made_again(self._new, maker=maker), *self._functions(self._enum.name, self._new.name)]
        drop_type = sql.SQL("DROP TYPE IF EXISTS {}").format(identifier(self._new.name))
        # The archives of the columns need it as long as they are kept, and are noted before.
        note = noted(context.migration, subject, self._old.name, (self._value,), stage_leg("drop"), keep)
        return [
            instant(
                context,
                EXPAND,
                f"{self._enum.name}/value/{self._value}/type",
                f"make {self._enum.name} anew without {self._value}, under another name",
                made,
                [*self._gone(self._enum.name, self._new.name), drop_type],
                "drop the new type",
            ),
            instant(
                context,
                stage_leg("drop"),
                f"{self._enum.name}/value/{self._value}/functions",
                f"drop what maps values of the old {self._enum.name}, and keep that as long as its values",
                [*self._gone(self._old, self._enum.name), note],
                [*self._functions(self._old, self._enum.name), forgotten(self._old.name)[1]],
                "make the mapping again",
            ),
        ]

    def pair(self, column: Column, default: str | None, read: tuple[str, ...]) -> Pair:
        new_type = _typed(self._new.name, _suffix(column)).as_string(None)
        return Pair(
            title=f"{self._enum.name} of {column.name}",
            old=(column.name,),
            new=(
                NewColumn(
                    name=column.name,
                    type=new_type,
                    default=default,
                    not_null=column.not_null,
                    comment=column.comment,
                    tuning=Tuning.of(column).for_another_type(),
                ),
            ),
            up={column.name: self._called(self._up, column)},
            down={column.name: self._called(self._down, column)},
            swap=True,
            total=self._to is not None,
            readers=read,
            renamed=(
                RenamedType(self._enum.name, self._old, column.type),
                RenamedType(self._new.name, self._enum.name, new_type),
            ),
        )

    def _functions(self, old: Name, new: Name) -> Iterator[sql.Composable]:
        """By the names that the types have when they are made."""
        made = sql.SQL(
            "CREATE FUNCTION {}(value {}) RETURNS {} LANGUAGE sql STABLE PARALLEL SAFE RETURN ({})::text{}::{}"
        )
        for suffix in self._suffixes:
            here, there, text_ = _typed(old, suffix), _typed(new, suffix), sql.SQL(suffix)
            yield made.format(identifier(self._up), here, there, self._kept(suffix), text_, there)
            yield made.format(identifier(self._down), there, here, sql.SQL("value"), text_, here)

    def _kept(self, suffix: LiteralString) -> sql.Composable:
        """The value as text, with what takes the place of the word that goes."""
        if self._to is None:
            return sql.SQL("value")
        words = (sql.Literal(self._value), sql.Literal(self._to))
        if suffix:
            return sql.SQL("pg_catalog.array_replace(value::text[], {}::text, {}::text)").format(*words)
        return sql.SQL("CASE value::text WHEN {} THEN {} ELSE value::text END").format(*words)

    def _gone(self, old: Name, new: Name) -> Iterator[sql.Composable]:
        for suffix in self._suffixes:
            for function, takes in ((self._up, old), (self._down, new)):
                yield sql.SQL("DROP FUNCTION IF EXISTS {}({})").format(identifier(function), _typed(takes, suffix))

    def _called(self, function: Name, column: Column) -> Expression:
        call = sql.SQL("{}({})").format(identifier(function), sql.Identifier(column.name))
        return Expression(call.as_string(None))


def _at_once(context: Context, enum: Enum, new: Enum) -> AnyStep:
    """Nothing uses it: another takes its name."""
    maker = context.catalog.role.name
    drop = sql.SQL("DROP TYPE {}").format(identifier(enum.name))
    return instant(
        context,
        stage_leg("cutover"),
        f"{enum.name}/value/at_once",
        f"make {enum.name} anew, which nothing uses",
        [drop, *made_again(replace(new, name=enum.name), maker=maker)],
        [drop, *made_again(enum, maker=maker)],
        "make it again as it was",
    )
