"""The rows of one side as SQL: where each stands, which are asked for, and what is asked of them.

A row's position is a bigint: its key where that is one indexed whole number, else a hash of its key. A bucket is the
positions that are equal after some bits are cut off, so that a bucket of few bits cut lies within one of more. The
order of texts, which differs among servers, plays no part.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from crossfade.compare.checksum import row_hash, total
from crossfade.compare.question import Side
from crossfade.compare.shape import Pairing, Shape
from crossfade.composing import sql
from crossfade.spec.fragment import trusted


@dataclass(frozen=True)
class Rows:
    """position: an expression. number: the column that it is, where a range of it can be read from an index."""

    relation: sql.Composable
    key: tuple[sql.Composable, ...]
    hash: sql.Composable
    position: sql.Composable
    number: sql.Composable | None
    where: sql.Composable
    blocks: int | None

    def bounds(self) -> sql.Composed:
        """The least and the greatest position of the whole table: two looks at an index."""
        assert self.number is not None
        return sql.SQL(
            "SELECT pg_catalog.min({number})::bigint, pg_catalog.max({number})::bigint FROM {relation}"
        ).format(number=self.number, relation=self.relation)

    def counted(self, shift: int, among: sql.Composable) -> sql.Composed:
        """The buckets with their number of rows and the sum of the rows' hashes. shift: bits that are cut off."""
        # OFFSET keeps the planner from seeing the column behind the bucket: it would expect as many buckets as rows,
        # and then neither hash them nor count in parallel. As a string it is a constant; 0 would be a call that casts.
        return sql.SQL(
            """SELECT bucket, pg_catalog.count(*), {total} FROM (
  SELECT {position} >> {shift} AS bucket, {hash} AS hash FROM {relation} WHERE {where} AND {among} OFFSET '0') AS rows
 GROUP BY bucket"""
        ).format(
            total=total(sql.Identifier("hash")),
            position=self.position,
            shift=sql.Literal(shift),
            hash=self.hash,
            relation=self.relation,
            where=self.where,
            among=among,
        )

    def listed(self, among: sql.Composable) -> sql.Composed:
        """The keys with their position, their number of rows and the sum of the rows' hashes."""
        return sql.SQL(
            """SELECT position, key, pg_catalog.count(*), {total} FROM (
  SELECT {position} AS position, ARRAY[{key}] AS key, {hash} AS hash FROM {relation} WHERE {where} AND {among}) AS rows
 GROUP BY position, key"""
        ).format(
            total=total(sql.Identifier("hash")),
            position=self.position,
            key=sql.SQL(", ").join(sql.SQL("({})::text").format(each) for each in self.key),
            hash=self.hash,
            relation=self.relation,
            where=self.where,
            among=among,
        )

    def within(self, buckets: Collection[int], shift: int) -> sql.Composable:
        """The condition that a row's position lies in one of the buckets. buckets: in their order."""
        if self.number is None:
            return sql.SQL("{} >> {} = ANY ({}::bigint[])").format(
                self.position, sql.Literal(shift), sql.Literal([*buckets])
            )
        ranges = [
            sql.SQL("{number} >= {first}::bigint AND {number} <= {last}::bigint").format(
                # As texts: the least bigint cannot be written as a number with a sign.
                number=self.number,
                first=sql.Literal(str(first << shift)),
                last=sql.Literal(str(((last + 1) << shift) - 1)),
            )
            for first, last in _runs(buckets)
        ]
        return sql.SQL("({})").format(sql.SQL(" OR ").join(ranges))

    def piece(self, first: int, end: int | None) -> sql.Composable:
        """The condition that a row lies in these blocks of its table or partition. end: None for all the rest, since
        the table may have grown.
        """
        at = sql.Identifier("ctid")
        after = sql.SQL("{} >= {}::tid").format(at, sql.Literal(f"({first},0)"))
        if end is None:
            return after
        return sql.SQL("{} AND {} < {}::tid").format(after, at, sql.Literal(f"({end},0)"))


def every() -> sql.Composable:
    """The condition that all rows fulfil."""
    return sql.SQL("true")


def rows_of(side: Side, shape: Shape, pairing: Pairing, *, by_number: bool, as_utf8: bool) -> Rows:
    """by_number: the key is one whole number, indexed on both sides."""
    values = {column: _value(side, shape, column) for column in pairing.columns}
    key = tuple(values[column] for column in pairing.key)
    number = key[0] if by_number else None
    return Rows(
        relation=sql.Identifier(shape.name.schema, shape.name.name),
        key=key,
        hash=row_hash(values.values(), as_utf8=as_utf8),
        position=sql.SQL("({})::bigint").format(number) if number else row_hash(key, as_utf8=as_utf8),
        number=number,
        where=sql.SQL("({}\n)").format(trusted(str(side.where))) if side.where else every(),
        blocks=shape.blocks,
    )


def _value(side: Side, shape: Shape, column: str) -> sql.Composable:
    if (expression := side.values.get(column)) is not None:
        return sql.SQL("({}\n)").format(trusted(str(expression)))
    return sql.Identifier(shape.name.name, column)


def _runs(buckets: Collection[int]) -> Iterator[tuple[int, int]]:
    """First and last of those that follow each other."""
    ordered = [*buckets]
    begin = last = ordered[0]
    for each in ordered[1:]:
        if each != last + 1:
            yield begin, last
            begin = each
        last = each
    yield begin, last
