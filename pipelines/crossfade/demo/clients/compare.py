"""At the end: all that the clients wrote, held against what the databases hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from crossfade.demo.clients.instance import Instance
from crossfade.demo.clients.memory import Key, Row
from crossfade.demo.clients.messages import Verdict

_KEYS = {("flights", "flights"): "id", ("flights", "planes"): "tailnum", ("fleet", "planes"): "tailnum"}
# Where the year was not renamed yet, it is remembered as what it will be called.
_AS_WRITTEN = {("planes", "year"): "built"}


def compare(instances: Iterable[Instance], urls: Mapping[str, str]) -> Verdict:
    """Read every row that was written, whatever its columns are called in the end."""
    ended = [*instances]
    rows = lost = diverged = 0
    written = sum(instance.memory.writes for instance in ended)
    for (service, table), key in _KEYS.items():
        with psycopg.connect(urls[service], options="-c timezone=UTC") as connection:
            for instance in ended:
                if instance.version.service != service:
                    continue
                wanted = dict(instance.memory.of(table))
                found = _read(connection, table, key, [*wanted])
                rows += len(wanted)
                lost += sum((values is None) == (name in found) for name, values in wanted.items())
                diverged += sum(
                    not values.keys() <= found[name].keys() or instance.memory.differs(table, name, found[name])
                    for name, values in wanted.items()
                    if values is not None and name in found
                )
    return Verdict(writes=written, rows=rows, lost=lost, diverged=diverged)


def _read(connection: psycopg.Connection[Any], table: str, key: str, keys: list[Key]) -> dict[Key, Row]:
    if not keys:
        return {}
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            sql.SQL("SELECT * FROM {} WHERE {} = ANY(%s)").format(sql.Identifier(table), sql.Identifier(key)), (keys,)
        )
        return {
            row[key]: {_AS_WRITTEN.get((table, name), name): value for name, value in row.items()} for row in cursor
        }
