"""Rights the role will miss, told when planning rather than at the step that wants them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from psycopg import sql

from crossfade.catalog.model import Catalog, Name
from crossfade.plan.plan import PlannedHazard
from crossfade.spec.model import Migration
from crossfade.steps.step import AnyStep, BuildIndex, Relation, Walk

MISSING_RIGHT = "missing-right"  # a step is certain to fail for it
_SEES_OTHERS = "pg_read_all_stats"
_ENDS_OTHERS = "pg_signal_backend"
_OWNERS = ("ACCESS EXCLUSIVE", "SHARE UPDATE EXCLUSIVE")  # what is done under these only an owner may


def rights_hazards(database: str, catalog: Catalog, steps: Sequence[AnyStep]) -> Iterator[PlannedHazard]:
    """What the role may not do in one database, each with the statement that grants it."""
    role = catalog.role
    if role.superuser:
        return
    who = sql.Identifier(role.name).as_string(None)
    mine = [step for step in steps if step.database == database]
    locked = [lock.relation for step in mine for lock in step.locks if lock.mode in _OWNERS]
    yield from ownership_hazards(database, catalog, locked)
    for schema in sorted({step.relation.schema_name for step in mine if isinstance(step, BuildIndex)}):
        if not catalog.schemas.get(schema, True):
            yield PlannedHazard(
                code=MISSING_RIGHT,
                risk="danger",
                change=database,
                what=f"role {role.name} may not create an index in schema {schema} of database `{database}`",
                fix=f"GRANT CREATE ON SCHEMA {sql.Identifier(schema).as_string(None)} TO {who}",
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
    who = sql.Identifier(role.name).as_string(None)
    named = {Name(relation.schema_name, relation.name) for relation in relations}
    for table in sorted({part.name for name in named & catalog.tables.keys() for part in catalog.tree(name)}):
        owner = catalog.tables[table].owner
        if role.superuser or owner in role.member_of:
            continue
        yield PlannedHazard(
            code=MISSING_RIGHT,
            risk="danger",
            change=database,
            what=f"role {role.name} neither owns {table} in database `{database}` nor is a member of {owner}, who does",
            fix=f"ALTER TABLE {sql.Identifier(table.schema, table.name).as_string(None)} OWNER TO {who}"
            if owner in catalog.server.superusers  # a member of it could become one
            else f"GRANT {sql.Identifier(owner).as_string(None)} TO {who}",
        )


def ending_hazards(migration: Migration, database: str, catalog: Catalog) -> Iterator[PlannedHazard]:
    """That sessions of others may be ended, and what the role lacks for it."""
    after = migration.head.locks.end_idle_blockers
    if after is None:
        return
    role = catalog.role
    lacking = [] if role.superuser else [r for r in (_ENDS_OTHERS, _SEES_OTHERS) if r not in role.member_of]
    who = sql.Identifier(role.name).as_string(None)
    yield PlannedHazard(
        code="ends-idle-blockers",
        risk="warning",
        change="locks",
        what=f"a session in {database} that is idle in a transaction for {after.total_seconds():g} s and holds a lock"
        f" that is needed is ended{', were the role allowed to' if lacking else ''}",
        fix=f"GRANT {', '.join(lacking)} TO {who}" if lacking else None,
    )
