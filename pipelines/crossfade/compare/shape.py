"""What is compared with what: the columns of both sides paired by name, and the key."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crossfade.catalog import Column, Index, Name
from crossfade.catalog.model import OWN_PREFIX
from crossfade.compare.errors import Incomparable
from crossfade.compare.question import Question, Side
from crossfade.spec.errors import did_you_mean

if TYPE_CHECKING:
    import psycopg

_INTEGERS = ("smallint", "integer", "bigint")
# Types of which the same value always has the same text.
_ALIKE = (_INTEGERS, ("text", "character varying"))


@dataclass(frozen=True)
class Shape:
    """What a relation has.

    key: its own. integers: columns that are whole numbers, never NULL, and lead an index. blocks: of its largest part,
    about; None: it has none of its own, as a view.
    """

    name: Name
    columns: Mapping[str, Column]
    key: tuple[str, ...]
    integers: frozenset[str]
    blocks: int | None


@dataclass(frozen=True)
class Pairing:
    """The columns compared, in one order for both sides; the key, and the columns its values come from; what to know of
    them.
    """

    columns: tuple[str, ...]
    key: tuple[str, ...]
    key_of: frozenset[tuple[str, Name, str]]
    notes: tuple[str, ...]


def read_shape(session: psycopg.Connection[Any], side: Side) -> Shape:
    """Raises Incomparable when there is no such relation."""
    from crossfade.catalog.snapshot import read_catalog

    schema, _, name = side.relation.rpartition(".")
    row = session.execute("SELECT pg_catalog.current_schemas(false)::text[]").fetchone()
    assert row is not None
    path = [schema] if schema else row[0]
    catalog = read_catalog(session, schemas=path)
    for found in (Name(each, name) for each in path):
        if (table := catalog.tables.get(found)) is not None:
            leaves = [*catalog.leaves(found)]
            foreign = any(leaf.kind == "foreign" for leaf in leaves)
            blocks = None if foreign else max((leaf.blocks for leaf in leaves), default=0)
            return Shape(found, table.by_name, table.key, frozenset(_integers(table.by_name, table.indexes)), blocks)
        if (view := catalog.views.get(found)) is not None:
            return Shape(found, {column.name: column for column in view.columns}, (), frozenset(), None)
    known = sorted(each.name for each in (*catalog.tables, *catalog.views) if each.schema in path)
    raise Incomparable(
        f"there is no table or view {side.relation} in database `{side.database}`",
        why=f"looked for in schema {', '.join(path)}",
        fix=did_you_mean(name, known),
    )


def pair(question: Question, a: Shape, b: Shape) -> Pairing:
    """Raises Incomparable when a column stands on one side only, or nothing tells rows apart."""
    columns = paired_columns(question, a.columns, b.columns)
    key = question.key or next((own for own in (a.key, b.key) if own and set(own) <= {*columns}), ())
    if not key:
        raise Incomparable(
            f"nothing tells the rows of {question.a} and {question.b} apart",
            why="neither has a primary key, or a unique index over columns that are never NULL, of columns compared",
            fix="name the columns that do: --key, or `key:` of the gate",
        )
    _refuse_unknown("key", key, columns)
    key_of = {*_read_by(question.a, a, key), *_read_by(question.b, b, key)}
    return Pairing(columns, key, frozenset(key_of), tuple(_notes(question, columns, a, b)))


def paired_columns(question: Question, a: Collection[str], b: Collection[str]) -> tuple[str, ...]:
    """The columns compared, of those that each side has; raises Incomparable when one is missing."""
    has_a, has_b = ({*a, *question.a.values}, {*b, *question.b.values})
    everywhere = [*dict.fromkeys([*_own(question.a, a, has_b), *_own(question.b, b, has_a)])]
    _refuse_unknown("columns", question.columns, everywhere)
    _refuse_unknown("skip", question.skip, everywhere)
    wanted = question.columns or everywhere
    columns = tuple(column for column in wanted if column not in question.skip)
    if not columns:
        raise Incomparable("no column is left to compare", fix="leave out fewer")
    for letter, side, has in (("b", question.b, has_b), ("a", question.a, has_a)):
        if missing := [column for column in columns if column not in has]:
            raise Incomparable(
                f"{side} has no column {', '.join(missing)}",
                why="the other side has it, and columns are compared by name",
                fix=f"say what stands for it (--map-{letter} {missing[0]}=SQL), or leave it out"
                f" (--skip {missing[0]}); the gate has the same words",
            )
    return columns


def _own(side: Side, columns: Collection[str], other: Collection[str]) -> Iterator[str]:
    """What there is to compare on this side: without columns that a migration under way has put there, and without
    those that stand on this side alone and that an expression reads which stands for another column.
    """
    table = side.relation.rpartition(".")[2]
    read = {column for expression in side.values.values() for column in expression.columns(table)}
    yield from (each for each in columns if not each.startswith(OWN_PREFIX) and (each in other or each not in read))
    yield from side.values


def _read_by(side: Side, shape: Shape, key: Collection[str]) -> Iterator[tuple[str, Name, str]]:
    for column in key:
        expression = side.values.get(column)
        for each in [column] if expression is None else expression.columns(shape.name.name):
            yield side.database, shape.name, each


def _refuse_unknown(word: str, named: Collection[str], known: Collection[str]) -> None:
    for each in named:
        if each not in known:
            raise Incomparable(f"{word}: no column {each} is compared", fix=did_you_mean(each, [*known]))


def _notes(question: Question, columns: Collection[str], a: Shape, b: Shape) -> Iterator[str]:
    for column in columns:
        if column in question.a.values or column in question.b.values:
            continue
        here, there = a.columns[column].type, b.columns[column].type
        if here != there and not any({_plain(here), _plain(there)} <= {*alike} for alike in _ALIKE):
            yield f"{column} is {here} in {question.a} and {there} in {question.b}; the texts of values are compared"


def _plain(type_: str) -> str:
    return type_.partition("(")[0]


def _integers(columns: Mapping[str, Column], indexes: Collection[Index]) -> Iterator[str]:
    for index in indexes:
        leading = columns.get(index.columns[0]) if index.columns else None
        if (
            leading is not None
            and index.method == "btree"
            and index.valid
            and index.predicate is None
            and leading.not_null
            and leading.type in _INTEGERS
        ):
            yield leading.name
