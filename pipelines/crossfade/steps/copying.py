"""How rows of a table are read as those of another one: the queries of a Copying, composed once when planning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps.capture import Capture
from crossfade.steps.compose import (
    any_leaf,
    captured_upto,
    chunk_bounds,
    equal,
    for_copying,
    identifier,
    names,
    relation,
    table,
)
from crossfade.steps.step import Copying, Relation


@dataclass(frozen=True)
class Carried:
    """A column of the target: what it is made from, over a row `t` of the source, and its type as SQL."""

    name: str
    value: sql.Composable
    type: str


def copying(
    capture: Capture,
    target: Relation,
    columns: Sequence[Carried],
    key: Sequence[str],
    *,
    step_id: str,
    where: sql.Composable,
    sequences: Sequence[tuple[str, str]],
) -> Copying:
    """key: the target's columns for those of the capture's key, in its order. where: over a row `t` of the source."""
    source = identifier(capture.table.name)
    values = sql.SQL(", ").join(sql.SQL("CAST({} AS {})").format(c.value, trusted(c.type)) for c in columns)
    first, last = chunk_bounds()
    captured = sql.SQL("SELECT DISTINCT {} FROM {} WHERE id <= {} AND NOT emptied").format(
        names(capture.noted), table(capture.relation), captured_upto()
    )
    types = capture.table.by_name
    is_noted = sql.SQL(" AND ").join(
        equal(types[column].type, sql.Identifier("t", column), sql.Identifier("k", noted))
        for column, noted in zip(capture.key, capture.noted, strict=True)
    )
    checksum = sql.SQL(
        "SELECT pg_catalog.count(*),"
        " coalesce(pg_catalog.sum(pg_catalog.hashtextextended(ROW({})::text, 0)), 0)::text FROM {} AS t WHERE {}"
    )
    held = names([column.name for column in columns], of="t")
    return Copying(
        id=step_id,
        source=capture.database,
        relation=relation(capture.table.name),
        captured=capture.relation,
        target=target,
        columns=tuple(column.name for column in columns),
        key=tuple(key),
        key_types=tuple(types[column].type for column in capture.key),
        chunk=for_copying(
            sql.SQL("SELECT {} FROM ONLY {} AS t WHERE t.ctid >= {}::tid AND t.ctid < {}::tid AND {}").format(
                values, any_leaf(), first, last, where
            )
        ),
        changed=for_copying(captured),
        current=for_copying(
            sql.SQL("SELECT {} FROM ({}) AS k JOIN {} AS t ON {} WHERE {}").format(
                values, captured, source, is_noted, where
            )
        ),
        read=checksum.format(values, source, where).as_string(None),
        held=checksum.format(held, table(target), sql.SQL("true")).as_string(None),
        sequences=tuple(sequences),
    )
