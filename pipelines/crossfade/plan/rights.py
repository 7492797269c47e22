"""Rights the role will miss, told when planning rather than at the step that wants them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import postgast
from postgast import pg_query_pb2 as pg
from psycopg import sql

from crossfade.catalog.grants import granted
from crossfade.catalog.model import Catalog, Name, Role, Table
from crossfade.plan.ownership import given_away, with_undo
from crossfade.plan.plan import PlannedHazard
from crossfade.spec.model import Migration
from crossfade.steps.step import AnyStep, BuildIndex, Check, Lock, LockMode, Relation, Walk

MISSING_RIGHT = "missing-right"  # a step is certain to fail for it
_SEES_OTHERS = "pg_read_all_stats"
_ENDS_OTHERS = "pg_signal_backend"
_OWNERS = ("ACCESS EXCLUSIVE", "SHARE UPDATE EXCLUSIVE")  # what is done under these only an owner may
# What is done to a table that is not altered follows from its lock, too; a foreign key's parent has the last.
_PRIVILEGES: dict[LockMode, tuple[str, ...]] = {
    "ACCESS SHARE": ("SELECT",),
    "ROW SHARE": ("SELECT",),
    "ROW EXCLUSIVE": ("SELECT", "UPDATE"),
    "SHARE ROW EXCLUSIVE": ("REFERENCES",),
}
_ON_ALL_TABLES = {"SELECT": "pg_read_all_data", "UPDATE": "pg_write_all_data"}


def rights_hazards(database: str, catalog: Catalog, steps: Sequence[AnyStep]) -> Iterator[PlannedHazard]:
    """What the role may not do in one database, each with the statement that grants it."""
    role = catalog.role
    if role.superuser:
        return
    who = _quoted(role.name)
    mine = [step for step in steps if step.database == database]
    locked = [lock.relation for step in mine for lock in step.locks if _wants_ownership(lock)]
    yield from _shut_schemas(database, catalog, mine)
    yield from ownership_hazards(database, catalog, locked)
    yield from _ungranted(database, catalog, mine)
    yield from _hidden_rows(database, catalog, mine)
    for schema, owner in sorted(given_away(mine) & role.kept_from_making):
        yield _missing(
            database,
            what=f"role {owner} may not create anything in schema {schema} of database `{database}`, so nothing that is"
            " made there can be given to it",
            fix=f"GRANT CREATE ON SCHEMA {_quoted(schema)} TO {_quoted(owner)}",
        )
    for schema in sorted({step.relation.schema_name for step in mine if isinstance(step, BuildIndex)}):
        if not catalog.schemas.get(schema, True):
            yield _missing(
                database,
                what=f"role {role.name} may not create an index in schema {schema} of database `{database}`",
                fix=f"GRANT CREATE ON SCHEMA {_quoted(schema)} TO {who}",
            )
    if mine and _SEES_OTHERS not in role.member_of:
        walks = any(isinstance(step, Walk) for step in mine)
        blind = "; a walk sees neither replicas that lag nor sessions that wait, and does not pause for them"
        yield PlannedHazard(
            code="blind-to-others",
            risk="warning" if walks else "note",
            change=database,
            what=f"role {role.name} cannot see who holds a lock in {database}{blind if walks else ''}",
            fix=f"GRANT {_SEES_OTHERS} TO {who}",
        )


def ownership_hazards(database: str, catalog: Catalog, relations: Iterable[Relation]) -> Iterator[PlannedHazard]:
    """Tables that are another's; PostgreSQL asks it of each partition too."""
    role = catalog.role
    who = _quoted(role.name)
    named = {Name(relation.schema_name, relation.name) for relation in relations}
    owners = {part.name: part.owner for name in named & catalog.tables.keys() for part in catalog.tree(name)}
    owners |= {name: catalog.views[name].owner for name in named & catalog.views.keys()}
    for table, owner in sorted(owners.items()):
        if role.superuser or owner in role.member_of:
            continue
        yield _missing(
            database,
            what=f"role {role.name} neither owns {table} in database `{database}` nor is a member of {owner}, who does",
            fix=f"ALTER TABLE {_quoted(table.schema, table.name)} OWNER TO {who}"
            if owner in catalog.server.superusers  # a member of it could become one
            else f"GRANT {_quoted(owner)} TO {who}",
        )


def _shut_schemas(database: str, catalog: Catalog, steps: Sequence[AnyStep]) -> Iterator[PlannedHazard]:
    role = catalog.role
    named = {lock.relation.schema_name for step in steps for lock in step.locks if not lock.of_leaving_key}
    for schema in sorted(named & role.shut_out_of):
        yield _missing(
            database,
            what=f"role {role.name} may not use schema {schema} of database `{database}`",
            fix=f"GRANT USAGE ON SCHEMA {_quoted(schema)} TO {_quoted(role.name)}",
        )


def _ungranted(database: str, catalog: Catalog, steps: Sequence[AnyStep]) -> Iterator[PlannedHazard]:
    """What the role lacks on tables that no step alters, so that it need not own them."""
    role = catalog.role
    locks: dict[Name, list[Lock]] = {}
    for lock in (lock for step in steps for lock in step.locks):
        locks.setdefault(Name(lock.relation.schema_name, lock.relation.name), []).append(lock)
    for name in sorted(locks.keys() & catalog.tables.keys()):
        if any(_wants_ownership(lock) for lock in locks[name]):
            continue
        wanted = {privilege for lock in locks[name] for privilege in _PRIVILEGES.get(lock.mode, ())}
        missing = ", ".join(sorted(p for p in wanted if not _may(role, catalog.tables[name], p)))
        if missing:
            yield _missing(
                database,
                what=f"role {role.name} lacks {missing} on {name} in database `{database}`",
                fix=f"GRANT {missing} ON {_quoted(name.schema, name.name)} TO {_quoted(role.name)}",
            )


def _hidden_rows(database: str, catalog: Catalog, steps: Sequence[AnyStep]) -> Iterator[PlannedHazard]:
    """Tables of which row security would hide rows from the role: our sessions are refused then, and read no part."""
    role = catalog.role
    read = {name for step in with_undo(steps) for name in _read(step)} & catalog.tables.keys()
    for table in sorted({part.name: part for name in read for part in catalog.tree(name)}.values(), key=str):
        bound = table.force_row_security or table.owner not in role.member_of
        if table.row_security and bound and not role.sees_every_row:
            yield _missing(
                database,
                what=f"row security of {table.name} in database `{database}` binds role {role.name}, which has to see"
                " every row of it",
                fix=f"ALTER ROLE {_quoted(role.name)} BYPASSRLS",
            )


def _read(step: AnyStep) -> Iterator[Name]:
    """The tables whose rows it reads."""
    if isinstance(step, Walk):
        yield from (Name(lock.relation.schema_name, lock.relation.name) for lock in step.locks)
    elif isinstance(step, Check):
        for _, node in postgast.walk(postgast.parse(step.query)):
            if isinstance(node, pg.RangeVar) and node.schemaname:
                yield Name(node.schemaname, node.relname)


def _wants_ownership(lock: Lock) -> bool:
    return lock.mode in _OWNERS and not lock.of_leaving_key


def _missing(database: str, *, what: str, fix: str) -> PlannedHazard:
    return PlannedHazard(code=MISSING_RIGHT, risk="danger", change=database, what=what, fix=fix)


def _may(role: Role, table: Table, privilege: str) -> bool:
    """On the table, or on some of its columns: which ones a step needs only the server knows."""
    if table.owner in role.member_of or _ON_ALL_TABLES.get(privilege) in role.member_of:
        return True
    items = (*table.grants, *(item for column in table.columns for item in column.grants))
    return any(found.grantee in {"", *role.member_of} for found in granted(items, [privilege]))


def _quoted(*name: str) -> str:
    return sql.Identifier(*name).as_string(None)


def ending_hazards(migration: Migration, database: str, catalog: Catalog) -> Iterator[PlannedHazard]:
    """That sessions of others may be ended, and what the role lacks for it."""
    after = migration.head.locks.end_idle_blockers
    if after is None:
        return
    role = catalog.role
    lacking = [] if role.superuser else [r for r in (_ENDS_OTHERS, _SEES_OTHERS) if r not in role.member_of]
    who = _quoted(role.name)
    yield PlannedHazard(
        code="ends-idle-blockers",
        risk="warning",
        change="locks",
        what=f"a session in {database} that is idle in a transaction for {after.total_seconds():g} s and holds a lock"
        f" that is needed is ended{', were the role allowed to' if lacking else ''}",
        fix=f"GRANT {', '.join(lacking)} TO {who}" if lacking else None,
    )
