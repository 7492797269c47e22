"""What a snapshot of a database says of its schema, as plain words that can be kept and compared.

Left out: oids, sizes and estimates; the server and the role; what belongs to an extension, whose version is told. What
no catalog holds is left out too: aggregates, operators, casts, event triggers, default privileges, the owners, grants
and comments of range types, and those of schemas.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, cast

from crossfade.catalog.model import OWN_PREFIX, Catalog, Sequence, Table, View

# Fields that are nothing of the schema, are things of their own, or that the definition says already.
_LEFT_OUT: Mapping[str, frozenset[str]] = {
    "table": frozenset(
        {"name", "oid", "size", "rows", "blocks"}
        | {"columns", "constraints", "indexes", "triggers", "policies", "dependents", "publications", "rules"}
        | {"statistics", "extension"}
    ),
    "view": frozenset({"name", "reads", "columns", "indexes", "triggers", "dependents", "rules", "extension"}),
    "column": frozenset({"name", "position", "type_name"}),
    "constraint": frozenset({"name", "kind", "columns", "validated", "deferrable", "references", "referenced_columns"}),
    "index": frozenset({"name", "method", "columns", "reads", "unique", "primary", "predicate", "size"}),
    "trigger": frozenset({"name", "function", "before", "row", "events", "columns", "arguments", "language"}),
    "function": frozenset({"name", "arguments", "body"}),
    "policy": frozenset({"name", "reads"}),
    "statistics": frozenset({"kind", "name", "columns", "of", "named"}),
    "publication": frozenset({"kind", "name", "columns", "of", "named"}),
    "rule": frozenset({"kind", "name", "columns", "of", "named"}),
    "enum": frozenset({"name", "uses"}),
    "domain": frozenset({"name", "uses"}),
    "composite type": frozenset({"name", "uses"}),
    "sequence": frozenset({"name", "uses"}),
}

# Their order in the catalog is that of their making.
_UNORDERED = frozenset({"grants", "options"})

# Dependents that a catalog describes nowhere else.
_DEPENDENTS = ("statistics", "publication", "rule")


class Key(NamedTuple):
    """Which object: its kind, and its name as a person would write it."""

    kind: str
    object: str


@dataclass(frozen=True)
class Thing:
    """One object. within: the table or view that it goes with when that one is dropped or created.

    says: what its fields say, without those that say nothing. columns: of a table or view, in their order.
    """

    within: str | None = None
    says: Mapping[str, str] = field(default_factory=dict[str, str])
    columns: tuple[str, ...] = ()


Structure = Mapping[Key, Thing]


def structure_of(catalog: Catalog, *, own: bool = True) -> Structure:
    """Every object of the snapshot; a part of a table is one of its own.

    own: whether objects that crossfade made, named `_cf_...`, count.
    """
    return dict(_things(catalog, own))


def written(structure: Mapping[Key, Thing | None]) -> str:
    """As canonical JSON: the same text for the same structure."""
    return json.dumps(
        [
            [*key, None] if thing is None else [*key, thing.within, thing.says, thing.columns]
            for key, thing in sorted(structure.items())
        ],
        sort_keys=True,
        ensure_ascii=False,
        separators=(",", ":"),
    )


def parsed(text: str) -> dict[Key, Thing | None]:
    """What `written` wrote; None of what is not there."""
    return {
        Key(kind, name): Thing(thing[0], thing[1], tuple(thing[2])) if len(thing) > 1 else None
        for kind, name, *thing in json.loads(text)
    }


def digest_of(structure: Structure) -> str:
    """The SHA-256 of its canonical JSON, in hexadecimal."""
    return hashlib.sha256(written(structure).encode()).hexdigest()


def _things(catalog: Catalog, own: bool) -> Iterator[tuple[Key, Thing]]:
    for schema in catalog.schemas:
        if _counts(schema, own):
            yield Key("schema", schema), Thing()
    for extension, version in catalog.extensions.items():
        yield Key("extension", extension), Thing(says={"version": version})
    kinds: Mapping[str, Mapping[Any, Any]] = {
        "enum": catalog.enums,
        "domain": catalog.domains,
        "composite type": catalog.composites,
        "sequence": catalog.sequences,
    }
    for kind, found in kinds.items():
        for name, value in found.items():
            if _counts(name.name, own):
                yield Key(kind, str(name)), Thing(_owner(value), _said(kind, value))
    for name in catalog.types - catalog.enums.keys() - catalog.domains.keys() - catalog.composites.keys():
        if _counts(name.name, own):
            yield Key("range type", str(name)), Thing()
    for signature, function in catalog.functions.items():
        if _counts(function.name.name, own):
            yield Key("function", signature), Thing(says=_said("function", function))
    for relation in (*catalog.tables.values(), *catalog.views.values()):
        if relation.extension is None and _counts(relation.name.name, own):
            kind = "table" if isinstance(relation, Table) else "view"
            columns = tuple(column.name for column in relation.columns if _counts(column.name, own))
            yield Key(kind, str(relation.name)), Thing(None, _said(kind, relation), columns)
            yield from _parts(relation, own)


def _owner(value: Any) -> str | None:
    """A sequence of a serial or identity column comes and goes with its table."""
    owned = value.owned_by if isinstance(value, Sequence) else None
    return str(owned[0]) if owned is not None else None


def _parts(relation: Table | View, own: bool) -> Iterator[tuple[Key, Thing]]:
    where = str(relation.name)
    for column in relation.columns:
        if _counts(column.name, own):
            yield Key("column", f"{where}.{column.name}"), Thing(where, _said("column", column))
    parts: Mapping[str, tuple[Any, ...]] = {"index": relation.indexes, "trigger": relation.triggers}
    if isinstance(relation, Table):
        parts = {**parts, "constraint": relation.constraints, "policy": relation.policies}
    for kind, found in parts.items():
        for part in found:
            if _counts(part.name, own):
                yield Key(kind, f"{part.name} on {where}"), Thing(where, _said(kind, part))
    for dependent in relation.dependents:
        if dependent.kind in _DEPENDENTS and _counts(_own_name(dependent.name), own):
            said = _said(dependent.kind, dependent)
            yield Key(dependent.kind, f"{dependent.name} of {where}"), Thing(where, said)


def _own_name(dependent: str) -> str:
    """st of "public.st", r of "r on public.t"."""
    return dependent.split(" on ")[0].split(".")[-1]


def _counts(name: str, own: bool) -> bool:
    return own or not name.startswith(OWN_PREFIX)


def _said(kind: str, value: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in fields(value):
        if each.name not in _LEFT_OUT[kind] and (said := _in_words(each.name, getattr(value, each.name))) is not None:
            found[each.name.replace("_", " ")] = said
    return found


def _in_words(name: str, value: Any) -> str | None:
    match value:
        case None | () | {}:
            return None
        case bool():
            return "yes" if value else "no"
        case tuple():
            items = [str(item) for item in cast("tuple[Any, ...]", value)]
            return ", ".join(sorted(items) if name in _UNORDERED else items)
        case dict():
            return ", ".join(f"{key}: {said}" for key, said in sorted(cast("dict[str, str]", value).items()))
        case "":
            return "''"
        case _:
            return str(value)
