"""The tables that a migration has changed by a point of its way, and a query as it will be asked of them there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import postgast
from postgast import pg_query_pb2 as pg
from psycopg import sql

from crossfade.catalog.model import Catalog, Name
from crossfade.plan.compiled import CompiledChange
from crossfade.spec.fragment import trusted
from crossfade.steps.step import EXPAND, Leg, stage_leg

Columns = Mapping[str, str]  # name -> type, as format_type spells it


@dataclass(frozen=True)
class Shape:
    """One database at a point of the migration's way.

    tables: those that are not as they were, whole.
    unknown: a `sql` change has been run by then, and may have made or dropped anything.
    """

    tables: Mapping[Name, Columns]
    unknown: bool


def shape_after(done: Collection[Leg], database: str, catalog: Catalog, compiled: Iterable[CompiledChange]) -> Shape:
    """The database when these legs are done and no other."""
    tables: dict[Name, dict[str, str]] = {}
    unknown = False

    def parts(name: Name) -> Iterator[dict[str, str]]:
        """The table, and its partitions, which have its columns too."""
        if name not in catalog.tables:  # made by an earlier change
            yield tables[name]
            return
        for part in catalog.tree(name):
            yield tables.setdefault(part.name, {column.name: column.type for column in part.columns})

    for change in compiled:
        if change.database != database:
            continue
        unknown = unknown or (change.entry.kind == "sql" and any(step.leg in done for step in change.result.steps))
        if EXPAND in done:
            tables.update((made.name, {c.name: c.type for c in made.columns}) for made in change.result.creates)
            for name, column, type_ in change.result.adds:
                for columns in parts(name):
                    columns[column] = type_
        for name, pair in change.result.pairs:
            turned = stage_leg(pair.turns_at) in done
            for columns in parts(name) if turned or (EXPAND in done and not pair.swap) else ():
                for gone in pair.old if turned else ():
                    columns.pop(gone, None)
                columns.update((new.name, new.type) for new in pair.new)
    return Shape(tables, unknown)


@dataclass(frozen=True)
class Reading:
    """A query, and the relations that it names, found along the search path."""

    text: str
    relations: tuple[Name, ...]

    @classmethod
    def of(cls, query: str, search_path: Sequence[str], known: Collection[Name]) -> Reading:
        tree = postgast.parse(query)
        return cls(query, tuple(name for _, name in _named(tree, search_path, known)))

    def reshaped(self, search_path: Sequence[str], shape: Shape) -> sql.Composed:
        """The query over tables that exist only in the question, so that nothing need be there yet."""
        tree = postgast.parse(self.text)
        stands_for = {name: f"_cf_{number}" for number, name in enumerate(shape.tables)}
        for node, name in [*_named(tree, search_path, shape.tables)]:
            node.alias.aliasname = node.alias.aliasname or node.relname
            node.relname = stands_for[name]
            node.ClearField("schemaname")
        for _, node in postgast.walk(tree):
            if isinstance(node, pg.ColumnRef) and len(node.fields) == 3:
                schema, table, _ = (part.string.sval for part in node.fields)
                if Name(schema, table) in stands_for:
                    del node.fields[0]  # the alias has no schema
        given = [
            sql.SQL("{} AS MATERIALIZED (SELECT {})").format(
                sql.Identifier(stands_for[name]),
                sql.SQL(", ").join(
                    sql.SQL("CAST(NULL AS {}) AS {}").format(trusted(type_), sql.Identifier(column))
                    for column, type_ in columns.items()
                ),
            )
            for name, columns in shape.tables.items()
        ]
        return sql.SQL("WITH {} {}").format(sql.SQL(", ").join(given), described(postgast.deparse(tree)))


def described(query: str) -> sql.Composed:
    """The query as a question of its columns: it is planned, and no row is read."""
    return sql.SQL("SELECT * FROM ({}\n) AS answer LIMIT 0").format(trusted(query))


def _named(
    tree: pg.ParseResult, search_path: Sequence[str], known: Collection[Name]
) -> Iterator[tuple[pg.RangeVar, Name]]:
    """The places where the query names one of the known relations, and not a WITH query of its own."""
    nodes = [node for _, node in postgast.walk(tree)]
    own = {node.ctename for node in nodes if isinstance(node, pg.CommonTableExpr)}
    for node in nodes:
        if isinstance(node, pg.RangeVar) and (node.schemaname or node.relname not in own):
            schemas = [node.schemaname] if node.schemaname else search_path
            found = next((name for name in (Name(schema, node.relname) for schema in schemas) if name in known), None)
            if found is not None:
                yield node, found
