"""How two snapshots of a database differ, in plain words: for drift, and to prove a rollback left no trace.

Not compared: oids, sizes and estimates; the server and the role; what belongs to an extension, whose
version is. What no catalog holds is not compared either: aggregates, operators, casts, event triggers,
default privileges, the owners, grants and comments of range types, and those of schemas.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, cast

from crossfade.catalog.model import OWN_PREFIX, Catalog, Table, View

# Fields that are nothing of the schema, are compared part by part, or that the definition says already.
_NOT_COMPARED: Mapping[str, frozenset[str]] = {
    "table": frozenset(
        {"oid", "size", "rows", "blocks"}
        | {"columns", "constraints", "indexes", "triggers", "policies", "dependents", "publications", "rules"}
        | {"statistics"}
    ),
    "view": frozenset({"reads", "columns", "indexes", "triggers", "dependents", "rules"}),
    "column": frozenset({"position", "type_name"}),
    "constraint": frozenset({"kind", "columns", "validated", "deferrable", "references", "referenced_columns"}),
    "index": frozenset({"method", "columns", "reads", "unique", "primary", "predicate", "size"}),
    "trigger": frozenset({"function", "before", "row", "events", "columns", "arguments", "language"}),
    "function": frozenset({"body"}),
    "policy": frozenset({"reads"}),
    "statistics": frozenset({"columns", "of", "named"}),
    "publication": frozenset({"columns", "of", "named"}),
    "rule": frozenset({"columns", "of", "named"}),
    "enum": frozenset({"uses"}),
    "domain": frozenset({"uses"}),
    "composite type": frozenset({"uses"}),
    "sequence": frozenset({"uses"}),
}

# Their order in the catalog is that of their making.
_UNORDERED = frozenset({"grants", "options"})

# Dependents that a catalog describes nowhere else.
_COMPARED_DEPENDENTS = ("statistics", "publication", "rule")


@dataclass(frozen=True, order=True)
class Difference:
    """One difference: what kind of object, which one, and how it differs."""

    kind: str
    object: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind} {self.object}: {self.what}"


class _Key(NamedTuple):
    """Which object; `within` is the table or view it goes with when that one is dropped or created."""

    kind: str
    object: str
    within: str | None = None


def diff(before: Catalog, after: Catalog, *, own: bool = True) -> tuple[Difference, ...]:
    """Every difference between two snapshots, sorted; none means the schema is the same.

    own: whether objects that crossfade made, named `_cf_...`, count.
    """
    old, new = dict(_objects(before, own)), dict(_objects(after, own))
    kept = {key.object for key in old.keys() & new.keys()}
    return tuple(sorted(_differences(old, new, kept)))


def _differences(old: Mapping[_Key, Any], new: Mapping[_Key, Any], kept: set[str]) -> Iterator[Difference]:
    for key in old.keys() | new.keys():
        if key not in new:
            whats = ["was dropped"] if key.within is None or key.within in kept else []
        elif key not in old:
            whats = ["was created"] if key.within is None or key.within in kept else []
        else:
            whats = list(_changes(key.kind, old[key], new[key]))
        for what in whats:
            yield Difference(key.kind, key.object, what)


def _objects(catalog: Catalog, own: bool) -> Iterator[tuple[_Key, Any]]:
    """Every object to compare; a part of a table is one of its own."""
    for schema in catalog.schemas:
        if _counts(schema, own):
            yield _Key("schema", schema), None
    for extension, version in catalog.extensions.items():
        yield _Key("extension", extension), version
    kinds: Mapping[str, Mapping[Any, Any]] = {
        "enum": catalog.enums,
        "domain": catalog.domains,
        "composite type": catalog.composites,
        "sequence": catalog.sequences,
    }
    for kind, found in kinds.items():
        for name, value in found.items():
            if _counts(name.name, own):
                yield _Key(kind, str(name)), value
    for name in catalog.types - catalog.enums.keys() - catalog.domains.keys() - catalog.composites.keys():
        if _counts(name.name, own):
            yield _Key("range type", str(name)), None
    for signature, function in catalog.functions.items():
        if _counts(function.name.name, own):
            yield _Key("function", signature), function
    for relation in (*catalog.tables.values(), *catalog.views.values()):
        if relation.extension is None and _counts(relation.name.name, own):
            yield _Key("table" if isinstance(relation, Table) else "view", str(relation.name)), relation
            yield from _parts(relation, own)


def _parts(relation: Table | View, own: bool) -> Iterator[tuple[_Key, Any]]:
    where = str(relation.name)
    for column in relation.columns:
        if _counts(column.name, own):
            yield _Key("column", f"{where}.{column.name}", where), column
    parts: Mapping[str, tuple[Any, ...]] = {"index": relation.indexes, "trigger": relation.triggers}
    if isinstance(relation, Table):
        parts = {**parts, "constraint": relation.constraints, "policy": relation.policies}
    for kind, found in parts.items():
        for part in found:
            if _counts(part.name, own):
                yield _Key(kind, f"{part.name} on {where}", where), part
    for dependent in relation.dependents:
        if dependent.kind in _COMPARED_DEPENDENTS and _counts(_own_name(dependent.name), own):
            yield _Key(dependent.kind, f"{dependent.name} of {where}", where), dependent


def _own_name(dependent: str) -> str:
    """st of "public.st", r of "r on public.t"."""
    return dependent.split(" on ")[0].split(".")[-1]


def _counts(name: str, own: bool) -> bool:
    return own or not name.startswith(OWN_PREFIX)


def _changes(kind: str, old: Any, new: Any) -> Iterator[str]:
    if old == new:
        return
    if isinstance(old, str):
        yield f"version was {old}, is {new}"
        return
    for field in fields(old):
        was, now = _compared(field.name, old), _compared(field.name, new)
        if was != now and field.name not in _NOT_COMPARED.get(kind, ()):
            yield f"{field.name.replace('_', ' ')} was {_shown(was)}, is {_shown(now)}"
    if isinstance(old, Table | View) and isinstance(new, Table | View):
        both = {column.name for column in old.columns} & {column.name for column in new.columns}
        was, now = (tuple(c.name for c in each.columns if c.name in both) for each in (old, new))
        if was != now:
            yield f"column order was {_shown(was)}, is {_shown(now)}"


def _compared(field: str, value: Any) -> Any:
    found = getattr(value, field)
    return tuple(sorted(found)) if field in _UNORDERED else found


def _shown(value: Any) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case tuple():
            return ", ".join(str(item) for item in cast("tuple[Any, ...]", value)) or "none"
        case "":
            return "''"
        case _:
            return str(value)
