"""Tables whose foreign keys point at rows that go: how such rows are found, and what a key without an index costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from crossfade.catalog.model import Catalog, ForeignKey, Table
from crossfade.changes._change import Hazard
from crossfade.composing import sql
from crossfade.steps.aside import refers
from crossfade.steps.compose import identifier


def types_of(table: Table) -> dict[str, str]:
    return {column.name: column.type for column in table.columns}


def has_children(catalog: Catalog, keys: Iterable[ForeignKey], row: str) -> sql.Composable:
    """Rows of other tables, or other rows of its own, point at the row; false where there are no keys."""
    questions = [
        sql.SQL("EXISTS (SELECT FROM {} AS _cf_child WHERE {}{})").format(
            identifier(key.child),
            refers(key, types_of(catalog.tables[key.child]), "_cf_child", row),
            # A row that points at itself holds nobody up.
            sql.SQL(" AND (_cf_child.tableoid, _cf_child.ctid) <> ({r}.tableoid, {r}.ctid)").format(
                r=sql.Identifier(row)
            )
            if key.child == key.parent
            else sql.SQL(""),
        )
        for key in keys
    ]
    return sql.SQL("({})").format(sql.SQL(" OR ").join(questions)) if questions else sql.SQL("false")


def unindexed_hazards(catalog: Catalog, keys: Iterable[ForeignKey]) -> Iterator[Hazard]:
    """Each batch would scan such a table once for every row."""
    for key in keys:
        child = catalog.tables[key.child]
        wanted = set(key.columns)
        if not any(
            index.valid and index.predicate is None and set(index.columns[: len(wanted)]) == wanted
            for index in child.indexes
        ):
            yield Hazard(
                "unindexed-foreign-key",
                "danger",
                f"no index of {key.child} begins with {', '.join(key.columns)} of foreign key {key.name}: for each row"
                f" that goes the whole of {key.child} is read",
                f"create_index on {key.child} ({', '.join(key.columns)}) in a migration that comes before",
            )
