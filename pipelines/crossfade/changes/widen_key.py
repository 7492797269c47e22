"""widen_key: a key of small numbers becomes bigint, with every column that references it."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from crossfade.catalog.model import Column, ForeignKey, Name, Sequence, Table
from crossfade.changes._change import Change, Compiled, Hazard, Mapped
from crossfade.changes._context import Context
from crossfade.changes._followers import following
from crossfade.changes._obstacles import (
    refuse_branched,
    refuse_lost_with_column,
    refuse_misfits,
    refuse_readers,
)
from crossfade.changes._prepared import prepared_hazard
from crossfade.changes._triggers import readers, refuse_late_triggers
from crossfade.composing import sql
from crossfade.spec.fragment import Expression
from crossfade.spec.values import Identifier
from crossfade.steps.numbering import most
from crossfade.steps.rows import NewColumn, Pair
from crossfade.steps.step import VALIDATE
from crossfade.steps.tuning import Tuning

_WIDE = "bigint"
_NARROW = ("smallint", "integer")
_NEARLY = 0.75  # of what a sequence can give
_Place = tuple[Name, str]


class WidenKey(Change):
    """Make an integer key bigint, with every column that references it.

    The tables whose foreign keys point at the column are found in the catalog, and those that point at them in turn.
    Each gets a bigint column beside its `integer` (or `smallint`) one, kept in step by a trigger and filled beside
    live traffic. The primary key, its foreign keys with their actions, indexes, defaults, comments, views, policies,
    the sequence or identity with what it has given out: all go over to the new columns. Every table is cut over by
    itself, in one short transaction, children before parents: so no key comes that a column which references it could
    not hold.

    ## Old and new versions

    Nobody need change: both versions use the same names. Until cutover of the table itself a key past 2147483647 is
    refused, as ever. From then on `bigint` values arrive: an application that reads keys into 32 bits must be gone, or
    must be able to, before the first of them comes, which is when the sequence gets there.

    ## Undo

    Turns back, at once, table by table, parents before children; after `archive` the old columns are filled from the
    new ones, which hold the same. A key that is past what the old column holds stands in the way: it is counted before
    anything is taken back. While it is turned back the old columns are proved NOT NULL, and such a key is refused.

    ## Locks

    ACCESS EXCLUSIVE on each table for an instant: in expand, at `cutover`, `archive` and `drop`. A foreign key locks
    both its tables: SHARE ROW EXCLUSIVE on both for an instant when it is made, ACCESS EXCLUSIVE on both for an
    instant when the old one goes, a table at a time. Indexes and rows are read under locks that let reads and writes
    go on. A sequence is locked for an instant; nobody waits for a table meanwhile but at the cutover of an identity.

    ## Hazards

    - `prepared-statements`: prepared statements that give the key are refused once after cutover, as their result has
      another type.
    - `sequence-nearly-exhausted`: how much of the sequence is left, and for how long at the present rate, where the
      server counts rows.
    - `sequence-ends`: the key's default counts with a sequence that is not its own, and that ends at 32 bits.
    - `identity-counts-anew`: an identity goes over to a new sequence of the same name; `currval` of a session that
      drew from the old one fails until it draws again.
    - `on-conflict-race`: two unique indexes hold the same keys from validate to drop, and PostgreSQL lets ON CONFLICT
      settle a conflict in one of them: of two sessions that insert the same new key at the same instant, the second may
      be told of a unique violation of the other one. Tried again it finds the row.

    Refused when planned, by name: partitioned tables, a column of a domain, generated columns, keys that point at
    each other in a circle, foreign keys with SET DEFAULT, and what reads a column and cannot be carried over:
    exclusion constraints, publications that list it, privileges on the column alone.

    ## Example

    ```yaml
    changes:
      - widen_key: {table: users}
    ```
    """

    table: Identifier = Field(description="The table whose key it is, or `schema.table`.")
    column: Identifier | None = Field(
        None, description="The column, where the primary key has more than one integer column or is not meant."
    )

    def compile(self, context: Context) -> Compiled:
        """A pair that swaps names for the key and for each column that references it, at any distance."""
        table = context.table(self.table)
        column = self._column(context, table)
        pairs: list[tuple[Name, Pair]] = []
        hazards: list[Hazard] = [*_exhaustion(context, table, column)]
        maps: list[Mapped] = []
        columns: dict[Name, list[Column]] = {}
        for name, referencing in _reached(context, table, column):
            widened = context.catalog.tables[name]
            pair, dangers = _pair(context, widened, widened.by_name[referencing])
            pairs.append((name, pair))
            hazards.extend(dangers)
            maps.append(Mapped(name, referencing, (referencing,), pair.up[referencing].text))
            columns.setdefault(name, []).append(widened.by_name[referencing])
        for name, found in columns.items():
            hazards.extend(_hazards(context, context.catalog.tables[name], found))
        return Compiled(pairs=tuple(pairs), hazards=tuple(dict.fromkeys(hazards)), maps=tuple(maps))

    def _column(self, context: Context, table: Table) -> Column:
        if self.column is not None:
            found = context.column(table, self.column, "column")
            if found.type not in _NARROW:
                context.refuse(
                    f"{table.name}.{found.name} is {found.type}",
                    why="only smallint and integer are widened to bigint",
                    fix="it is wide enough already" if found.type == _WIDE else "use `change_column` for other types",
                    at=("column",),
                )
            return found
        key = next((c.columns for c in table.constraints if c.kind == "primary_key"), ())
        narrow = [name for name in key if table.by_name[name].type in _NARROW]
        if not key:
            fix = "name the column that others reference: `column: ...`"
            context.refuse(f"{table.name} has no primary key", fix=fix, at=("table",))
        if not narrow:
            held = ", ".join(f"{name} {table.by_name[name].type}" for name in key)
            context.refuse(f"the primary key of {table.name} has no smallint or integer in it: {held}", at=("table",))
        if len(narrow) > 1:
            context.refuse(
                f"the primary key of {table.name} has {len(narrow)} columns that could be widened",
                fix=f"say which: `column: {narrow[0]}`, or another of {', '.join(narrow)}",
                at=("table",),
            )
        return table.by_name[narrow[0]]


def _reached(context: Context, table: Table, column: Column) -> Iterator[_Place]:
    """The column, those that reference it, those that reference these, and so on; each once."""
    waiting: list[_Place] = [(table.name, column.name)]
    seen: set[_Place] = set()
    while waiting:
        place = waiting.pop(0)
        if place in seen or _is_widened(context, place):
            continue
        seen.add(place)
        yield place
        for key in context.catalog.references_to(place[0]):
            for here, there in zip(key.columns, key.referenced_columns, strict=True):
                if there == place[1]:
                    waiting.extend(_referencing(context, key, here))


def _is_widened(context: Context, place: _Place) -> bool:
    """By a change that stands above."""
    arrival = context.arrivals.get(place[0], {}).get(place[1])
    return arrival is not None and arrival.type == _WIDE


def _referencing(context: Context, key: ForeignKey, column: str) -> Iterator[_Place]:
    child = key.child
    table = context.catalog.tables.get(child)
    if table is None:
        context.refuse(
            f"{child}, whose foreign key {key.name} follows, cannot be read by {context.catalog.role.name}",
            why="its column has to be widened too",
            fix=f"GRANT USAGE ON SCHEMA {sql.Identifier(child.schema).as_string(None)}"
            f" TO {sql.Identifier(context.catalog.role.name).as_string(None)}, and the rights on the table",
            at=("table",),
        )
    context.refuse_locked(child, ("table",))
    type_ = table.by_name[column].type
    if "SET DEFAULT" in key.definition:
        context.refuse(
            f"{key.name} of {child} sets a default when its parent goes",
            why="the new column has no default yet while it follows, and would be set to NULL",
            fix="give it another action before this migration, and the default again after it",
        )
    if table.kind == "partitioned" or table.partition_of is not None:
        context.refuse(
            f"{child}, whose foreign key {key.name} follows, is partitioned",
            why="PostgreSQL takes no NOT VALID foreign key there: to make it again would lock the table for a scan",
            fix="drop the foreign key before this migration and add it again after, or leave it out",
        )
    if type_ in _NARROW:
        yield child, column
    elif type_ != _WIDE and not type_.startswith("numeric"):
        context.refuse(
            f"{child}.{column}, whose foreign key {key.name} follows, is {type_}",
            why="only smallint and integer are widened to bigint, and it would not hold the keys to come",
            fix=f"change the type of {child}.{column} first, in a migration that comes before",
        )


def _pair(context: Context, table: Table, column: Column) -> tuple[Pair, tuple[Hazard, ...]]:
    if table.kind == "partitioned":
        context.refuse(
            f"{table.name} is partitioned",
            why="PostgreSQL builds no index of a partitioned table concurrently, which the new key needs",
            fix="widen the key before the table is partitioned, or copy it to a partitioned one with a bigint key",
        )
    refuse_branched(context, table)
    if column.generated:
        context.refuse(f"{table.name}.{column.name} is a generated column", why="it cannot be written")
    refuse_lost_with_column(context, table, column)
    _refuse_included(context, table, column)
    held = frozenset({column.name})
    follow = following(context, table, column, _WIDE, "cutover", refuse=refuse_readers)
    read = readers(context, table, column, _WIDE)
    refuse_misfits(context, table, column, _WIDE)
    refuse_late_triggers(context, table, held)
    limit = most(column.type)
    assert limit is not None
    bare = sql.Identifier(column.name).as_string(None)
    new = NewColumn(
        name=column.name,
        type=_WIDE,
        default=column.default,
        not_null=column.not_null,
        comment=column.comment,
        tuning=Tuning.of(column).for_another_type(),
        identity=column.identity,
        sequences=_own_sequences(context, table, column),
    )
    pair = Pair(
        title=f"{table.name}.{column.name}",
        old=(column.name,),
        new=(new,),
        up={column.name: Expression(f"{bare}::{_WIDE}")},
        down={column.name: Expression(f"{bare}::{column.type}")},
        swap=True,
        rules_leg=VALIDATE,
        readers=read.signatures,
        followers=follow.followers,
        fits=Expression(f"{bare} BETWEEN {-limit - 1} AND {limit}"),
    )
    return pair, (*follow.hazards, *read.hazards)


def _refuse_included(context: Context, table: Table, column: Column) -> None:
    """In the primary key's index, and not in the key: PostgreSQL would bind a foreign key again to the old index."""
    key = next((index for index in table.indexes if index.primary), None)
    if key is None or column.name in key.columns or column.name not in key.reads:
        return
    for foreign in context.catalog.references_to(table.name):
        if set(foreign.referenced_columns) == set(key.columns):
            context.refuse(
                f"{table.name}.{column.name} is kept in the index of {key.name}, at which {foreign.name} of"
                f" {foreign.child} points",
                why="that index is replaced with the column, and a foreign key made anew would point at the old one",
                fix=f"make {key.name} without INCLUDE ({column.name}) before this migration",
            )


def _own_sequences(context: Context, table: Table, column: Column) -> tuple[Sequence, ...]:
    return tuple(s for s in context.catalog.sequences.values() if s.owned_by == (table.name, column.name))


def _hazards(context: Context, table: Table, columns: list[Column]) -> Iterator[Hazard]:
    """Of the columns of one table."""
    named = ", ".join(column.name for column in columns)
    yield Hazard(
        "column-order",
        "note",
        f"after cutover {named} stand last in {table.name}: an INSERT without column names would write the hidden old"
        " columns",
        "name the columns in INSERT",
    )
    yield prepared_hazard(table, "warning", "after expand, cutover and drop")
    quoted = ", ".join(f"`{column.name}`" for column in columns)
    yield prepared_hazard(table, "warning", "after cutover", what=quoted)
    if any(index.unique and index.reads & {column.name for column in columns} for index in table.indexes):
        yield Hazard(
            "on-conflict-race",
            "note",
            f"from validate to drop INSERT ... ON CONFLICT into {table.name} may raise a unique violation where another"
            " session inserts the same new key at the same instant",
            "let the application try again on SQLSTATE 23505, as it may have to after 40001",
        )
    for column in columns:
        yield from _of_sequences(context, table, column)


def _of_sequences(context: Context, table: Table, column: Column) -> Iterator[Hazard]:
    if column.identity:
        yield Hazard(
            "identity-counts-anew",
            "note",
            f"at cutover the identity of {table.name}.{column.name} goes over to a new sequence of the same name, which"
            " counts on: currval() fails in sessions that drew from the old one, until they draw again",
            "take the key from INSERT ... RETURNING",
        )
    for sequence in context.catalog.sequences.values():
        if column.default == _drawing(sequence) and sequence.owned_by is None and sequence.type in _NARROW:
            yield Hazard(
                "sequence-ends",
                "warning",
                f"the default of {table.name}.{column.name} counts with {sequence.name}, which is not its own, is"
                f" {sequence.type} and ends at {sequence.maximum:,}",
                f"ALTER SEQUENCE {sql.Identifier(sequence.name.schema, sequence.name.name).as_string(None)} AS bigint",
            )


def _drawing(sequence: Sequence) -> str:
    """The default that counts with it, as the catalog prints it where no name needs quotes."""
    return f"nextval('{sequence.name}'::regclass)"


def _exhaustion(context: Context, table: Table, column: Column) -> Iterator[Hazard]:
    for sequence in _own_sequences(context, table, column):
        use = context.probe.sequence_use(sequence.name, table.name)
        if use is None or sequence.increment < 0 or use.last < _NEARLY * sequence.maximum:
            continue
        left = max(sequence.maximum - use.last, 0) // sequence.increment
        lasts = f": about {left / use.per_day:,.0f} days at the present rate" if use.per_day else ""
        yield Hazard(
            "sequence-nearly-exhausted",
            "danger",
            f"{sequence.name} has given {use.last:,} of {sequence.maximum:,}, and {left:,} values are left{lasts};"
            f" new ones come from the cutover of {table.name} on",
            "see that cutover comes in time: keep soaks and gates before it short; a sequence can be set to count in"
            " unused negative numbers until then",
        )
