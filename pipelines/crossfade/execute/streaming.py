"""Rows from one server to another, as PostgreSQL's own binary COPY."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql

from crossfade.steps.compose import names, table
from crossfade.steps.step import Copying

_AT_ONCE = 1 << 17  # bytes: a message holds one row, and each write has its price


def stream(
    reader: psycopg.Connection[Any],
    query: sql.Composable,
    writer: psycopg.Connection[Any],
    into: sql.Composable,
    columns: Sequence[str],
) -> int:
    """Write what the query gives in one database to a table of another; gives how many rows."""
    out = sql.SQL("COPY ({}) TO STDOUT (FORMAT binary)").format(query)
    back = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(into, names(columns))
    with writer.cursor() as written, reader.cursor() as read:
        with written.copy(back) as sink, read.copy(out) as rows:
            held: list[bytes | bytearray | memoryview] = []
            size = 0
            for row in rows:
                held.append(row)
                size += len(row)
                if size > _AT_ONCE:
                    sink.write(b"".join(held))
                    held.clear()
                    size = 0
            sink.write(b"".join(held))
        return max(written.rowcount, 0)


def room_for(writer: psycopg.Connection[Any], name: str, of: Copying, columns: Sequence[str]) -> sql.Identifier:
    """A table of the transaction for such columns of the target."""
    writer.execute(
        sql.SQL("CREATE TEMP TABLE {} ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA").format(
            sql.Identifier(name), names(columns), table(of.target)
        )
    )
    return sql.Identifier("pg_temp", name)


def add_staged(
    reader: psycopg.Connection[Any], query: sql.Composable, writer: psycopg.Connection[Any], of: Copying
) -> int:
    """Write the rows that the target has room for, by its key and unique rules; gives how many.

    Of two rows that cannot be there together one has been written since the older one was read, so it is captured.
    """
    stage = room_for(writer, "_cf_rows", of, of.columns)
    stream(reader, query, writer, stage, of.columns)
    return writer.execute(
        sql.SQL("INSERT INTO {} ({cols}) OVERRIDING SYSTEM VALUE SELECT {cols} FROM {} ON CONFLICT DO NOTHING").format(
            table(of.target), stage, cols=names(of.columns)
        )
    ).rowcount
