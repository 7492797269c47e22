"""What depends on each table: by pg_depend, publication, foreign key, or mention in a function's text."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from crossfade.catalog import rows as of
from crossfade.catalog.objects import ForeignKey
from crossfade.catalog.parts import Dependent, Name
from crossfade.catalog.rows import ColumnNames, Rows

_WORD = re.compile(r"[^\W\d][\w$]*")
_QUOTED = re.compile(r'"((?:[^"]|"")+)"')


@dataclass(frozen=True)
class Edge:
    """One dependent of one relation; `through` is its oid where it is a view, with dependents of its own."""

    kind: str
    name: str
    columns: frozenset[str]
    definition: str | None = None
    through: int | None = None
    of: Name | None = None


@dataclass
class Edges:
    """The dependents of all relations by oid, and what follows from them."""

    _direct: dict[int, list[Edge]] = field(default_factory=lambda: defaultdict[int, list[Edge]](list))
    _beyond: dict[int, frozenset[Edge]] = field(default_factory=dict[int, frozenset[Edge]])

    def add(self, relation: int, edge: Edge) -> None:
        """Record a direct dependent of a relation."""
        self._direct[relation].append(edge)

    def of(self, relation: int) -> tuple[Dependent, ...]:
        """All dependents of a relation, those of the views over it included, by kind and name."""
        columns: dict[tuple[str, str], frozenset[str]] = {}
        edges: dict[tuple[str, str], Edge] = {}
        direct = self._direct.get(relation, ())
        for edge in direct:
            for found in (edge, *self._above(edge)):
                key = (found.kind, found.name)
                columns[key] = columns.get(key, frozenset[str]()) | edge.columns
                edges[key] = found
        named: dict[tuple[str, str], frozenset[str]] = {}
        for edge in direct:
            named[edge.kind, edge.name] = named.get((edge.kind, edge.name), frozenset[str]()) | edge.columns
        return tuple(
            Dependent(*key, columns[key], edges[key].definition, edges[key].of, named.get(key, frozenset()))
            for key in sorted(columns)
        )

    def _above(self, edge: Edge) -> frozenset[Edge]:
        """What depends on the view an edge leads to, at any height."""
        view = edge.through
        if view is None:
            return frozenset()
        if view not in self._beyond:
            self._beyond[view] = frozenset()  # rules can make a circle of views
            direct = self._direct.get(view, ())
            self._beyond[view] = frozenset(direct).union(*(self._above(higher) for higher in direct))
        return self._beyond[view]


@lru_cache(maxsize=1024)  # one function is the trigger of many tables
def words(text: str) -> frozenset[str]:
    """Every identifier a text could mean: words, as written and lower case, and what double quotes hold."""
    found = set(_WORD.findall(text))
    found.update([word.lower() for word in found])
    found.update(quoted.replace('""', '"') for quoted in _QUOTED.findall(text))
    return frozenset(found)


class Mentions:
    """Finds the relations whose name a function's text mentions."""

    def __init__(self, relations: Iterable[tuple[int, str, str]]) -> None:
        """relations: (oid, schema, name)."""
        self._by_name: Mapping[str, list[tuple[int, str]]] = defaultdict(list)
        for oid, schema, name in relations:
            self._by_name[name].append((oid, schema))

    def relations(self, named: frozenset[str], schema: str) -> Iterator[int]:
        """The oids of the relations among the words of a function that lives in `schema`.

        Where several schemas have a relation of that name, those that are the function's own or are named
        too; else all. A schema for each of a thousand tenants would otherwise give a million dependents.
        """
        for name in named & self._by_name.keys():
            candidates = self._by_name[name]
            near = [oid for oid, where in candidates if where == schema or where in named]
            yield from near or [oid for oid, _ in candidates]


def edges_of(rows: Rows, names: ColumnNames, foreign_keys: tuple[ForeignKey, ...]) -> Edges:
    """The direct dependents of every relation."""
    edges = Edges()
    oids = {of.name(row): row.oid for row in rows["relations"]}
    for row in rows["dependents"]:
        columns = frozenset(of.named(row.positions, names[row.relation]))
        of_relation = of.name_or_none(row.of_schema, row.of_name)
        edges.add(row.relation, Edge(row.kind, row.name, columns, row.definition, row.through, of_relation))
    for row in rows["columns"]:
        if row.generated is not None:
            columns = frozenset(of.named(row.reads, names[row.relation]))
            edges.add(row.relation, Edge("generated column", row.name, columns))
    for row in rows["publications"]:
        columns = frozenset(of.named(row.positions, names[row.relation]))
        edges.add(row.relation, Edge("publication", row.name, columns, row.definition))
    for key in foreign_keys:
        if key.parent in oids and key.child != key.parent:
            columns = frozenset(key.referenced_columns)
            edges.add(oids[key.parent], Edge("foreign key", f"{key.name} on {key.child}", columns))

    mentions = Mentions((oid, name.schema, name.name) for name, oid in oids.items())
    for row in rows["functions"]:
        if row.language in ("internal", "c"):
            continue  # its text is the name of a symbol
        mentioned = words(row.body)
        for oid in mentions.relations(mentioned, row.schema):
            evidence = f"{row.schema}.{row.name}({row.arguments}) (text)"
            edges.add(oid, Edge("function body", evidence, mentioned.intersection(names[oid].values())))
    for row in rows["triggers"]:
        # A trigger's function reads new.email without ever naming the table.
        columns = words(row.body).intersection(names[row.relation].values())
        if columns and row.function_schema != "crossfade":
            evidence = f"{row.function_schema}.{row.function}() (text)"
            edges.add(row.relation, Edge("function body", evidence, columns))
    return edges
