"""What a migration adds to published tables, which stops a subscriber that has it not; and what it may not update."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from psycopg import sql

from crossfade.catalog.model import Catalog, Name, Publication, Table
from crossfade.changes import Refused
from crossfade.errors import Problem
from crossfade.plan.added import Added, added_to_tables
from crossfade.plan.compiled import CompiledChange
from crossfade.plan.created import created_tables
from crossfade.plan.plan import PlannedHazard
from crossfade.spec.fragment import trusted
from crossfade.spec.model import Migration
from crossfade.steps.rows import Sides
from crossfade.steps.step import AnyStep, Walk

_STOPS = "replication to a subscriber without it stops at the first row written from then on, and keeps WAL"


def refuse_unidentified(migration: Migration, catalogs: Mapping[str, Catalog], steps: Sequence[AnyStep]) -> None:
    """Rows that are to be filled, or to be brought back, and that PostgreSQL lets nobody update."""
    walked = {
        (walk.database, lock.relation)
        for step in steps
        for walk in _walks(step)
        for lock in walk.locks
        if lock.mode == "ROW EXCLUSIVE"
    }
    problems = [
        Problem(
            f"{leaf.name} has no replica identity, and publication {publication} of database `{database}` carries"
            " updates",
            where=migration.position("changes"),
            why=f"PostgreSQL refuses every UPDATE of it, so rows of {relation} could not be written",
            fix=f"ALTER TABLE {sql.Identifier(leaf.name.schema, leaf.name.name).as_string(None)} REPLICA IDENTITY FULL,"
            " or USING INDEX a unique index over NOT NULL columns, first",
        )
        for database, relation in sorted(walked, key=str)
        for leaf, publication in _unidentified(catalogs[database], Name(relation.schema_name, relation.name))
    ]
    if problems:
        raise Refused.of(problems)


def _walks(step: AnyStep) -> Iterator[Walk]:
    if isinstance(step, Walk):
        yield step
    for undoing in step.undo:
        yield from _walks(undoing)


def _unidentified(catalog: Catalog, table: Name) -> Iterator[tuple[Table, str]]:
    """The tables that hold its rows, where updates are published and nothing tells whose; each with a publication."""
    for leaf in catalog.leaves(table) if table in catalog.tables else ():
        above = leaf
        carried = set[str]()
        while above:
            carried |= {publication.name for publication in above.publications if publication.updates}
            above = catalog.tables.get(above.partition_of) if above.partition_of else None
        if carried and not leaf.has_replica_identity:
            yield leaf, min(carried)


@dataclass(frozen=True)
class _Arrival:
    """What subscribers of a publication must have first. fix: how they get it."""

    publication: str
    what: str
    fix: str


def publication_hazards(
    migration: Migration,
    catalogs: Mapping[str, Catalog],
    compiled: Sequence[CompiledChange],
    transitions: Sequence[Sides],
) -> Iterator[PlannedHazard]:
    """What the spec has vouched for; raises Refused with all that it has not."""
    vouched = set(migration.head.publications)
    problems: list[Problem] = []
    hazards: list[PlannedHazard] = []
    for database, catalog in catalogs.items():
        for arrival in _arrivals(database, catalog, compiled, transitions):
            if arrival.publication in vouched:
                what = f"{arrival.what}: {_STOPS}; the spec says that subscribers are ready"
                hazards.append(
                    PlannedHazard(code="published", risk="danger", change="publications", what=what, fix=arrival.fix)
                )
            else:
                problems.append(
                    Problem(
                        f"{arrival.what}, and the spec does not say that its subscribers are ready",
                        where=migration.position("changes"),
                        why=_STOPS,
                        fix=f"{arrival.fix}; then say `publications: [{arrival.publication}]` in the spec",
                    )
                )
    if problems:
        raise Refused.of(problems)
    yield from hazards


def _arrivals(
    database: str, catalog: Catalog, compiled: Sequence[CompiledChange], transitions: Sequence[Sides]
) -> Iterator[_Arrival]:
    for name in sorted({p.name for table in catalog.tables.values() for p in table.publications if _is_of_all(p)}):
        yield _Arrival(
            name,
            f"publication {name} in database `{database}` is FOR ALL TABLES, and carries crossfade's own ledger too",
            "publish schemas or tables by name instead: CREATE PUBLICATION ... FOR TABLES IN SCHEMA ... (PostgreSQL 15"
            " and later) or FOR TABLE ..., and at each subscriber ALTER SUBSCRIPTION ... SET PUBLICATION ..."
            " WITH (copy_data = false)",
        )
    for name, table in created_tables(database, compiled).items():
        for publication in _of_tables_to_come(catalog, name):
            made = sql.SQL(", ").join(_column(column.name, column.type) for column in table.columns)
            statement = sql.SQL("CREATE TABLE {} ({})").format(sql.Identifier(name.schema, name.name), made)
            yield _Arrival(
                publication,
                f"table {name} will be in publication {publication} of database `{database}` from expand on",
                f"at each subscriber: {statement.as_string(None)}, and after expand"
                " ALTER SUBSCRIPTION ... REFRESH PUBLICATION",
            )
    added = added_to_tables(database, compiled, transitions)
    for name in sorted(added):
        for publication in _carrying(catalog, name):
            yield _of_columns(database, catalog, name, publication, added[name])


def _of_columns(database: str, catalog: Catalog, name: Name, publication: Publication, added: Added) -> _Arrival:
    here = catalog.tables[name]
    whole = publication.via_root and publication in here.publications
    apart = here.kind == "partitioned" and not whole
    clauses = sql.SQL(", ").join(
        sql.SQL("ADD COLUMN {}").format(_column(column, type_)) for column, type_ in added.columns.items()
    )
    table = sql.Identifier(name.schema, name.name)
    fix = "at each subscriber: " + sql.SQL("ALTER TABLE {} {}").format(table, clauses).as_string(None)
    if apart:
        fix += ", or of each partition where the partitioned table is not there"
    for column, type_ in added.retyped.items():
        quoted = sql.Identifier(column).as_string(None)
        fix += f", and before cutover let {quoted} there take values of {type_} as well"
    if not added.hides and catalog.server.version >= 150000:
        fix += "; or give the publication a list of the columns of now, with which these are not sent"
    return _Arrival(
        publication.name,
        f"columns {', '.join(added.columns)} of {name} will be in publication {publication.name} of database"
        f" `{database}`" + (", under the names of its partitions" if apart else ""),
        f"{fix}; drop there what is no more when the migration is complete",
    )


def _carrying(catalog: Catalog, name: Name) -> Iterator[Publication]:
    """The publications that will carry a column that comes into the table; each once, the partitioned table's first."""
    seen: set[str] = set()
    for part in catalog.tree(name):
        for publication in part.publications:
            if publication.name not in seen and not publication.listed:
                yield publication
            seen.add(publication.name)


def _of_tables_to_come(catalog: Catalog, name: Name) -> list[str]:
    """The publications that a table will be in without being named."""
    return sorted(
        {
            publication.name
            for table in catalog.tables.values()
            for publication in table.publications
            if _is_of_all(publication) or (publication.scope == "schema" and table.name.schema == name.schema)
        }
    )


def _is_of_all(publication: Publication) -> bool:
    return publication.scope == "all tables"


def _column(name: str, type_: str) -> sql.Composed:
    return sql.SQL("{} {}").format(sql.Identifier(name), trusted(type_))
