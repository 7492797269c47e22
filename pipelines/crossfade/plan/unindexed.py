"""Foreign keys whose columns no index begins with: what becomes of the parent's rows then scans the child."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from crossfade.catalog.model import Catalog, Index, Name
from crossfade.plan.compiled import CompiledChange
from crossfade.plan.created import created_tables
from crossfade.plan.plan import PlannedHazard


def unindexed_hazards(catalogs: Mapping[str, Catalog], compiled: Sequence[CompiledChange]) -> Iterator[PlannedHazard]:
    """Of the keys that the migration adds, when it is complete: an index may come before or after its key."""
    for database, catalog in catalogs.items():
        mine = [change for change in compiled if change.database == database]
        created = created_tables(database, compiled)
        for change in mine:
            brought = [*change.result.constraints, *((t.name, c) for t in change.result.creates for c in t.constraints)]
            for child, key in brought:
                if key.references is None:
                    continue
                held = [*_kept(catalog, child, mine), *_made(child, mine)]
                held += [tuple(index.columns) for index in created[child].indexes] if child in created else []
                if any(set(columns[: len(key.columns)]) == set(key.columns) for columns in held):
                    continue
                columns = ", ".join(key.columns)
                yield PlannedHazard(
                    code="foreign-key-without-index",
                    risk="warning",
                    change=change.entry.kind,
                    what=f"{child} ({columns}) has no index: every DELETE in {key.references}, and every UPDATE of its"
                    " key, scans it",
                    fix=f"add create_index: {{table: {child.name}, name: {child.name}_{key.columns[0]}_idx, columns:"
                    f" [{columns}]}} to this migration",
                )


def _kept(catalog: Catalog, table: Name, compiled: Sequence[CompiledChange]) -> Iterator[tuple[str, ...]]:
    """The keys of the indexes there are, under the names that columns have in the end."""
    renamed = {
        pair.old[0]: pair.new[0].name
        for change in compiled
        for name, pair in change.result.pairs
        if name == table and len(pair.old) == len(pair.new) == 1
    }
    for index in catalog.tables[table].indexes if table in catalog.tables else ():
        if _serves(index):
            yield tuple(renamed.get(column, column) for column in index.columns)


def _made(table: Name, compiled: Sequence[CompiledChange]) -> Iterator[tuple[str, ...]]:
    for change in compiled:
        for name, index in change.result.indexes:
            if name == table and _serves(index):
                yield index.columns


def _serves(index: Index) -> bool:
    """PostgreSQL's own query for the children of a row asks for values that are equal, so for none that is NULL."""
    predicates = (None, *(f"{column} IS NOT NULL" for column in index.columns[:1]))
    whole = index.predicate.strip("()").replace('"', "") if index.predicate is not None else None
    return index.valid and whole in predicates and index.method in ("btree", "hash")
