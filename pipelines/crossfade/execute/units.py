"""The units of a walk: ranges of physical blocks per leaf table, fixed when it starts, their progress in the ledger."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import psycopg
from psycopg import sql

from crossfade.execute.site import Site
from crossfade.steps.compose import table
from crossfade.steps.step import Relation

_LARGEST_UNIT = 8192  # blocks: 64 MB
_UNITS_PER_WORKER = 4  # so that workers end at about the same time

_LEAVES = """
SELECT n.nspname, c.relname, pg_catalog.pg_relation_filenode(c.oid),
       pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::bigint
  FROM (SELECT relid::oid AS oid FROM pg_catalog.pg_partition_tree(%(table)s::regclass) WHERE isleaf
        UNION SELECT %(table)s::regclass::oid) AS leaves
  JOIN pg_class AS c USING (oid) JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' ORDER BY 1, 2"""


class Walked(Protocol):
    """What is gone through in units: the relation, and the id under which the ledger keeps how far."""

    @property
    def id(self) -> str: ...
    @property
    def relation(self) -> Relation: ...


class Rewritten(Exception):
    """The leaf has another physical file than when the walk started: its block numbers mean nothing any more."""


@dataclass(frozen=True)
class Unit:
    """Blocks `next_block` up to (not with) `end_block` of a leaf are still to be walked."""

    number: int
    leaf: Relation
    filenode: int
    next_block: int
    end_block: int

    def advanced(self, to: int) -> Unit:
        return replace(self, next_block=to)


def open_units(site: Site, step: Walked, holder: Site | None = None) -> list[Unit]:
    """The units that are not finished; made now, in one transaction, when the walk starts.

    holder: the database that has the relation, where it is not the one that keeps the progress.
    """
    with site.transaction() as work:
        started = work.execute(
            "SELECT FROM crossfade.progress WHERE migration = %s AND step = %s LIMIT 1", (site.migration, step.id)
        ).fetchone()
        if started is None:
            _fix(site, step, _leaves(holder or site, step))
            site.ledger.event(site.migration, "walk started", {"step": step.id})
    return unfinished(site, step)


def unfinished(site: Site, step: Walked) -> list[Unit]:
    rows = site.work.execute(
        "SELECT unit, leaf_schema, leaf, filenode, next_block, end_block FROM crossfade.progress"
        " WHERE migration = %s AND step = %s AND next_block < end_block ORDER BY unit",
        (site.migration, step.id),
    ).fetchall()
    return [Unit(row[0], Relation(schema_name=row[1], name=row[2]), *row[3:]) for row in rows]


def start_anew(site: Site, step: Walked, leaf: Relation, holder: Site | None = None) -> None:
    """Fix the units of a leaf again after its table was rewritten. holder: as of `open_units`."""
    with site.transaction() as work:
        work.execute(
            "DELETE FROM crossfade.progress WHERE migration = %s AND step = %s AND leaf_schema = %s AND leaf = %s",
            (site.migration, step.id, leaf.schema_name, leaf.name),
        )
        _fix(site, step, [row for row in _leaves(holder or site, step) if row[:2] == (leaf.schema_name, leaf.name)])
        site.ledger.event(
            site.migration,
            "walk starts anew",
            {"step": step.id, "leaf": str(leaf), "because": "the table was rewritten"},
        )


def note_progress(work: psycopg.Connection[Any], migration: str, walked: str, unit: Unit, end: int, rows: int) -> None:
    """In the transaction that has written the rows of the unit's blocks up to `end`."""
    noted = work.execute(
        "UPDATE crossfade.progress SET next_block = %s, rows = rows + %s, batches = batches + 1"
        " WHERE migration = %s AND step = %s AND unit = %s AND next_block = %s",
        (end, rows, migration, walked, unit.number, unit.next_block),
    )
    assert noted.rowcount == 1, "a unit is walked by one worker at a time"


def leaves(site: Site, step: Walked) -> list[Relation]:
    return [Relation(schema_name=row[0], name=row[1]) for row in _leaves(site, step)]


def filenode(leaf: Relation) -> sql.Composable:
    """An expression for the leaf's physical file now."""
    return sql.SQL("pg_catalog.pg_relation_filenode({}::regclass)").format(sql.Literal(table(leaf).as_string(None)))


def _leaves(site: Site, step: Walked) -> list[tuple[str, str, int, int]]:
    name = table(step.relation).as_string(site.work)
    return site.work.execute(_LEAVES, {"table": name}).fetchall()


def _fix(site: Site, step: Walked, found: list[tuple[str, str, int, int]]) -> None:
    row = site.work.execute(
        "SELECT coalesce(pg_catalog.max(unit), 0) FROM crossfade.progress WHERE migration = %s AND step = %s",
        (site.migration, step.id),
    ).fetchone()
    number = row[0] if row else 0
    for schema, name, node, blocks in found:
        share = blocks // (site.settings.workers * _UNITS_PER_WORKER) + 1
        size = min(share, _LARGEST_UNIT)
        for first in range(0, blocks, size):
            number += 1
            site.work.execute(
                "INSERT INTO crossfade.progress"
                " (migration, step, unit, leaf_schema, leaf, filenode, first_block, next_block, end_block)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
                (site.migration, step.id, number, schema, name, node, first, first, min(first + size, blocks)),
            )
