"""The checksum of rows, as SQL: equal wherever the same values stand in the same order of columns."""

from __future__ import annotations

from collections.abc import Iterable

from crossfade.composing import sql


def row_hash(values: Iterable[sql.Composable], *, as_utf8: bool = False) -> sql.Composable:
    """A bigint of the texts of the values, where NULL and '' differ.

    as_utf8: hash the text's bytes as UTF-8, where the other side's server has another encoding.
    """
    text = sql.SQL("ROW({})::text").format(sql.SQL(", ").join(values))
    if as_utf8:
        text = sql.SQL("pg_catalog.encode(pg_catalog.convert_to({}, 'UTF8'), 'hex')").format(text)
    # The bytes alone, whatever the database's own collation holds equal.
    return sql.SQL('pg_catalog.hashtextextended({} COLLATE pg_catalog."C", 0)').format(text)


def total(row_hash: sql.Composable) -> sql.Composable:
    """The aggregate over rows, whatever their order. A sum of bigint is numeric, so it cannot overflow."""
    return sql.SQL("coalesce(pg_catalog.sum({}), 0)").format(row_hash)
