"""From the rows of all queries to the catalog: what belongs to which table, and what depends on it.

What others dropped while the rows were read has no definition (a table: no size) any more, and is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Protocol, TypeVar

from crossfade.catalog import rows as of
from crossfade.catalog.dependents import Edges, edges_of
from crossfade.catalog.model import Catalog, Table, TableKind, View
from crossfade.catalog.objects import ForeignKey, Use
from crossfade.catalog.parts import Column, Constraint, Index, Name, Policy, Publication, Rule, Statistics, Trigger
from crossfade.catalog.rows import ColumnNames, Row, Rows

Part = TypeVar("Part")
Thing = TypeVar("Thing", bound="_Named")

_TABLE: Mapping[str, TableKind] = {"r": "table", "p": "partitioned", "f": "foreign"}
_REPLICA_IDENTITY = {"d": "default", "n": "nothing", "f": "full", "i": "index"}


@dataclass(frozen=True)
class Columns:
    """The columns of every relation, and their names by position."""

    by_relation: Mapping[int, tuple[Column, ...]]
    names: ColumnNames

    @classmethod
    def of(cls, rows: Rows) -> Columns:
        """From the rows of `columns` and `volatile`."""
        volatile = frozenset(of.name(row) for row in rows["volatile"])
        names: dict[int, dict[int, str]] = defaultdict(dict)
        for row in rows["columns"]:
            names[row.relation][row.position] = row.name
        return cls(_grouped(rows["columns"], lambda row: of.column(row, volatile), order="position"), names)


def assemble(rows: Rows, columns: Columns) -> Catalog:
    """The catalog from the rows of all queries."""
    place, types, names = rows["server"][0], rows["types"], columns.names
    foreign_keys = tuple(
        of.foreign_key(row, names)
        for row in rows["constraints"]
        if row.kind == "f" and not row.inherited and row.definition is not None
    )
    functions = [of.function(row) for row in rows["functions"] if row.definition is not None]
    parts = _parts(rows, columns, foreign_keys)
    uses = _uses(rows)
    return _summed(
        Catalog(
            database=place.database,
            server=of.server(place),
            role=of.role(place, may_set_replication_role=rows["replication_role"][0].may_set),
            tables=_by_name(
                _table(row, parts, place.block_size)
                for row in rows["relations"]
                if row.kind in _TABLE and row.heap_size is not None
            ),
            views=_by_name(
                _view(row, parts) for row in rows["relations"] if row.kind not in _TABLE and row.definition is not None
            ),
            enums=_by_name(of.enum(row, uses[True, of.name(row)]) for row in types if row.kind == "e"),
            sequences=_by_name(of.sequence(row, uses[False, of.name(row)]) for row in rows["sequences"]),
            types=frozenset(of.name(row) for row in types),
            schemas=dict(sorted(rows["scope"][0].schemas.items())),
            schema_grants={name: tuple(sorted(items)) for name, items in rows["scope"][0].schema_grants.items()},
            extensions=dict(sorted(place.extensions.items())),
            foreign_keys=foreign_keys,
            domains=_by_name(of.domain(row, uses[True, of.name(row)]) for row in types if row.kind == "d"),
            composites=_by_name(of.composite(row, uses[True, of.name(row)]) for row in types if row.kind == "c"),
            functions={str(function): function for function in sorted(functions, key=str)},
            locked={of.name(row): row.holders for row in rows["locked"]},
        )
    )


class _Named(Protocol):
    @property
    def name(self) -> Name: ...


def _by_name(found: Iterable[Thing]) -> dict[Name, Thing]:
    return {thing.name: thing for thing in sorted(found, key=lambda thing: thing.name)}


@dataclass(frozen=True)
class _Parts:
    """What belongs to each relation, by its oid."""

    columns: Mapping[int, tuple[Column, ...]]
    constraints: Mapping[int, tuple[Constraint, ...]]
    indexes: Mapping[int, tuple[Index, ...]]
    triggers: Mapping[int, tuple[Trigger, ...]]
    policies: Mapping[int, tuple[Policy, ...]]
    rules: Mapping[int, tuple[Rule, ...]]
    statistics: Mapping[int, tuple[Statistics, ...]]
    publications: Mapping[int, tuple[Publication, ...]]
    reads: Mapping[int, frozenset[tuple[Name, str]]]
    dependents: Edges


def _parts(rows: Rows, columns: Columns, foreign_keys: tuple[ForeignKey, ...]) -> _Parts:
    names = columns.names
    relations = {row.oid: of.name(row) for row in rows["relations"]}
    reads: dict[int, set[tuple[Name, str]]] = defaultdict(set)
    for row in rows["dependents"]:
        if row.through is not None and row.relation in relations:
            read = of.named(row.positions, names[row.relation]) or ("",)
            reads[row.through].update((relations[row.relation], column) for column in read)
    return _Parts(
        columns=columns.by_relation,
        constraints=_grouped(rows["constraints"], lambda row: of.constraint(row, names)),
        indexes=_grouped(rows["indexes"], lambda row: of.index(row, names)),
        triggers=_grouped(rows["triggers"], lambda row: of.trigger(row, names)),
        policies=_grouped(rows["policies"], lambda row: of.policy(row, names)),
        rules=_grouped(rows["rules"], of.rule),
        statistics=_grouped(rows["statistics"], of.statistics),
        publications=_grouped(rows["publications"], lambda row: of.publication(row, names)),
        reads={view: frozenset(found) for view, found in reads.items()},
        dependents=edges_of(rows, names, foreign_keys),
    )


def _grouped(rows: list[Row], build: Callable[[Row], Part], *, order: str = "name") -> Mapping[int, tuple[Part, ...]]:
    found: dict[int, list[Part]] = defaultdict(list)
    for row in rows:
        if getattr(row, "definition", "") is not None:
            found[row.relation].append(build(row))
    return {relation: tuple(sorted(parts, key=attrgetter(order))) for relation, parts in found.items()}


def _table(row: Row, parts: _Parts, block_size: int) -> Table:
    oid = row.oid
    parents = tuple(Name(*parent) for parent in zip(row.parent_schemas, row.parent_names, strict=True))
    return Table(
        name=of.name(row),
        oid=oid,
        kind=_TABLE[row.kind],
        owner=row.owner,
        columns=parts.columns.get(oid, ()),
        constraints=parts.constraints.get(oid, ()),
        indexes=parts.indexes.get(oid, ()),
        triggers=parts.triggers.get(oid, ()),
        policies=parts.policies.get(oid, ()),
        dependents=parts.dependents.of(oid),
        row_security=row.row_security,
        force_row_security=row.force_row_security,
        grants=of.grants(row),
        replica_identity=_REPLICA_IDENTITY[row.replica_identity],
        storage_parameters=tuple(sorted(row.options)),
        partition_key=row.partition_key,
        partition_of=parents[0] if row.is_partition else None,
        partition_bound=row.partition_bound,
        comment=row.comment,
        size=row.heap_size + (row.toast_size or 0),
        rows=row.rows,
        blocks=row.heap_size // block_size,
        unlogged=row.unlogged,
        inherits=() if row.is_partition else parents,
        tablespace=row.tablespace,
        access_method=row.access_method,
        extension=row.extension,
        publications=parts.publications.get(oid, ()),
        rules=parts.rules.get(oid, ()),
        statistics=parts.statistics.get(oid, ()),
    )


def _view(row: Row, parts: _Parts) -> View:
    oid = row.oid
    return View(
        name=of.name(row),
        materialized=row.kind == "m",
        definition=row.definition,
        owner=row.owner,
        options=tuple(row.options),
        reads=parts.reads.get(oid, frozenset()),
        populated=row.populated,
        columns=parts.columns.get(oid, ()),
        indexes=parts.indexes.get(oid, ()),
        triggers=parts.triggers.get(oid, ()),
        grants=of.grants(row),
        comment=row.comment,
        extension=row.extension,
        dependents=parts.dependents.of(oid),
        rules=parts.rules.get(oid, ()),
        tablespace=row.tablespace,
        access_method=row.access_method,
    )


def _uses(rows: Rows) -> Mapping[tuple[bool, Name], tuple[Use, ...]]:
    """What depends on each type (True) and each sequence (False), in order; () of those that nothing depends on."""
    found: dict[tuple[bool, Name], tuple[Use, ...]] = defaultdict(tuple)
    for use, subject in sorted(
        (Use(row.kind, row.user, tuple(row.path)), (row.is_type, of.name(row))) for row in rows["uses"]
    ):
        found[subject] += (use,)
    return found


def _summed(catalog: Catalog) -> Catalog:
    """Give partitioned tables the sizes and rows of their leaves; their indexes, of the indexes attached."""
    attached: dict[Name, list[tuple[Name, Index]]] = defaultdict(list)
    for table in catalog.tables.values():
        for index in table.indexes:
            if index.partition_of is not None:
                attached[index.partition_of].append((Name(table.name.schema, index.name), index))

    def size(name: Name, index: Index) -> int:
        return index.size + sum(size(*below) for below in attached.get(name, ()))

    def summed(table: Table) -> Table:
        leaves = tuple(catalog.leaves(table.name))
        known = [leaf.rows for leaf in leaves if leaf.rows >= 0]
        return replace(
            table,
            size=sum(leaf.size for leaf in leaves),
            blocks=sum(leaf.blocks for leaf in leaves),
            rows=sum(known) if known else -1,
            indexes=tuple(
                replace(index, size=size(Name(table.name.schema, index.name), index)) for index in table.indexes
            ),
        )

    tables = {name: summed(table) if table.kind == "partitioned" else table for name, table in catalog.tables.items()}
    return replace(catalog, tables=tables)
