"""Which tables a migration shows to each version by views of its own, what stands in the way, and what to know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from crossfade.catalog.model import Catalog, Name
from crossfade.changes import Refused
from crossfade.plan.compiled import CompiledChange
from crossfade.plan.plan import PlannedHazard, VersionViews
from crossfade.plan.rights import MISSING_RIGHT
from crossfade.plan.target import Target
from crossfade.spec.model import Entry, Migration
from crossfade.spec.values import LONGEST_NAME
from crossfade.steps.compose import relation
from crossfade.steps.rows import Sides
from crossfade.steps.version_schemas import VersionSchemas
from crossfade.steps.versions import Shown, Versions

Place = tuple[str, Name]  # database, table


def schemas_of(migration: Migration, compiled: Sequence[CompiledChange]) -> dict[Place, VersionSchemas]:
    """The tables of which each version sees a shape of its own, with the schemas of their views."""
    return {
        (change.database, table): VersionSchemas.of(table.schema, migration.id)
        for change in compiled
        for table in change.result.versions
    }


def versions_of(
    migration: Migration,
    compiled: Sequence[CompiledChange],
    targets: Mapping[str, Target],
    transitions: Iterable[Sides],
) -> list[Versions]:
    """One for each schema with such tables; raises Refused for what cannot be shown."""
    sides_of = {(sides.database, sides.table.name): sides for sides in transitions}
    groups: dict[tuple[str, VersionSchemas], list[Shown]] = {}
    for place, schemas in schemas_of(migration, compiled).items():
        database, table = place
        catalog = targets[database].catalog
        asking = next(c.entry for c in compiled if c.database == database and table in c.result.versions)
        _refuse_schemas(catalog, schemas, migration, asking)
        sides, renamed = sides_of.get(place), _renamed(compiled, place)
        if sides is not None and renamed:
            _refuse_renamed_beside_pairs(compiled, place)
        shown = Shown(catalog.tables[table], sides, tuple(_appended(compiled, place)), renamed)
        _refuse_bypassed_policies(catalog, shown, asking)
        groups.setdefault((database, schemas), []).append(shown)
    return [
        Versions(
            migration=migration.id,
            database=database,
            schemas=schemas,
            shown=tuple(shown),
            usage=targets[database].catalog.schema_grants.get(schemas.tables, ()),
            role=targets[database].catalog.role.name,
            invoker=_knows_invokers(targets[database].catalog),
        )
        for (database, schemas), shown in groups.items()
    ]


def told_of(versions: Iterable[Versions]) -> tuple[VersionViews, ...]:
    """The same for people and for other migrations, without the steps."""
    return tuple(
        VersionViews(
            database=each.database,
            schema_name=each.schemas.tables,
            new=each.schemas.new,
            old=each.schemas.old,
            tables=tuple(relation(shown.table.name) for shown in each.shown),
        )
        for each in versions
    )


def version_hazards(versions: Iterable[Versions], catalogs: Mapping[str, Catalog]) -> Iterator[PlannedHazard]:
    """How an application comes to its version's shape, and what a view is not."""
    for told, each in ((told_of([each])[0], each) for each in versions):
        yield PlannedHazard(
            code="search-path",
            risk="warning",
            change=each.database,
            what=f"the new version must look up names in {told.new_path} from its start; without, it has the tables"
            f" themselves, as they are before cutover. From cutover these have the new shape, and the version before"
            f" keeps the old one in {told.old_path}, until retire",
            fix="set search_path where it connects (options=-csearch_path=..., ALTER ROLE); start it after validate,"
            f" end it before a rollback, and let it ask to_regnamespace('{told.new}') at its start, since a schema that"
            " is not there is passed over without a word",
        )
        tables = ", ".join(shown.table.name.name for shown in each.shown)
        merge = "" if catalogs[each.database].server.version >= 170000 else "MERGE, "
        yield PlannedHazard(
            code="view-not-table",
            risk="warning",
            change=each.database,
            what=f"{tables} in {each.schemas.new} and {each.schemas.old} are views: COPY, TRUNCATE, {merge}ON CONFLICT"
            " ON CONSTRAINT, ctid and tableoid, and GROUP BY the key alone fail there; a partition by its own name, and"
            " whoever asks the catalog for the key or the sequence (pg_get_serial_sequence), finds no view's",
            fix="COPY (SELECT ...) TO, INSERT for COPY FROM, ON CONFLICT (columns), and all columns in GROUP BY; or"
            f" name the table with its schema {each.schemas.tables}, in the shape it has",
        )
        if not catalogs[each.database].role.may_create_schema:
            yield PlannedHazard(
                code=MISSING_RIGHT,
                risk="danger",
                change=each.database,
                what=f"role {each.role} may not create schemas in database `{each.database}`, for the views of both"
                " versions",
                fix=f"GRANT CREATE ON DATABASE ... TO {each.role}",
            )


def _renamed(compiled: Iterable[CompiledChange], place: Place) -> dict[str, str]:
    return {
        old: new
        for change in compiled
        if change.database == place[0]
        for table, old, new, _ in change.result.renames
        if table == place[1]
    }


def _appended(compiled: Iterable[CompiledChange], place: Place) -> Iterator[str]:
    """New columns that stand in no old one's place, as the spec orders them."""
    for change in compiled:
        if change.database == place[0]:
            yield from (column for table, column, _ in change.result.adds if table == place[1])
            for table, pair in change.result.pairs:
                if table == place[1] and not pair.old:
                    yield from (new.name for new in pair.new)


def _refuse_schemas(catalog: Catalog, schemas: VersionSchemas, migration: Migration, asking: Entry) -> None:
    for name in (schemas.new, schemas.old):
        if len(name.encode()) > LONGEST_NAME:
            raise Refused(
                f"{name}, the schema of a version's views, is {len(name.encode())} bytes long",
                where=asking.where,
                why=f"PostgreSQL would cut it at {LONGEST_NAME}, and search_path would name another one",
                fix=f"give the migration a shorter id than {migration.id}",
            )
        if name in catalog.schemas:
            raise Refused(
                f"schema {name} exists already, and the views of a version shall be in one of that name",
                where=asking.where,
                fix="drop it, when it is left from a migration that nobody needs any more; or give this migration"
                " another id",
            )


def _knows_invokers(catalog: Catalog) -> bool:
    return catalog.server.version >= 150000


def _refuse_bypassed_policies(catalog: Catalog, shown: Shown, asking: Entry) -> None:
    table = shown.table
    if not table.row_security:
        return
    fix = "leave out `strategy: versions`, or add the new shape under new names (`add_column` with `up` and `down`)"
    if not _knows_invokers(catalog):
        raise Refused(
            f"{table.name} has row security, which a view on PostgreSQL {catalog.server.version // 10000} would bypass",
            where=asking.where,
            why="before 15 a view reads as its owner, whom the policies do not bind",
            fix=fix,
        )
    if shown.has_column_rights:
        raise Refused(
            f"{table.name} has row security and privileges on single columns",
            where=asking.where,
            why="a view that is under the policies of whoever uses it wants his rights on all of its columns too",
            fix=f"grant on the table instead and revoke those of the columns; or {fix}",
        )


def _refuse_renamed_beside_pairs(compiled: Iterable[CompiledChange], place: Place) -> None:
    renaming = next(
        change.entry
        for change in compiled
        if change.database == place[0] and any(table == place[1] for table, *_ in change.result.renames)
    )
    raise Refused(
        f"{place[1]} has a column that one name is taken from, and others that are kept in step",
        where=renaming.where,
        why="what keeps columns in step knows the table's columns by their names, which would change under it",
        fix="leave out `strategy: versions` here, so that both names are kept in step too; or make it two migrations,"
        " one `after` the other",
    )
