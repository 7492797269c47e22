"""Old values of complete migrations whose time is over: which they are, and how they go, under the lease."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import args_row

from crossfade.execute.ddl import run_ddl
from crossfade.execute.errors import Blocked
from crossfade.execute.fault import from_environment
from crossfade.execute.frozen import thaw
from crossfade.execute.notice import Listener
from crossfade.execute.session import reading
from crossfade.execute.site import Site
from crossfade.ledger import Ledger, is_installed
from crossfade.plan import Plan
from crossfade.spec import Project
from crossfade.steps.compose import text
from crossfade.steps.step import Ddl, Leg, stage_leg

_EXPIRED = """
SELECT %(database)s, a.migration, a.relation, a.columns, a.stored_in, a.keep_until,
       coalesce(pg_catalog.pg_total_relation_size(
         pg_catalog.to_regclass(pg_catalog.format('crossfade.%%I', a.stored_in))), 0)
  FROM crossfade.archive AS a JOIN crossfade.migration AS m ON m.id = a.migration
 WHERE m.state = 'complete' AND a.purged_at IS NULL AND a.keep_until <= crossfade.clock()
   AND a.migration = coalesce(%(migration)s, a.migration)
 ORDER BY a.migration, a.keep_until, a.stored_in"""


@dataclass(frozen=True)
class Expired:
    """A table of old values of `relation`, or their type, in the schema crossfade, that need not be kept any more."""

    database: str
    migration: str
    relation: str
    columns: list[str]
    stored_in: str
    keep_until: datetime
    bytes: int


def expired(project: Project, migration: str | None = None) -> tuple[Expired, ...]:
    """What a purge would drop now, of one migration or of all that the ledgers know. Reads only."""
    found: list[Expired] = []
    for name, database in project.databases.items():
        with reading(database, "crossfade purge") as connection:
            if is_installed(connection):
                found += _expired(connection, name, migration)
    return tuple(found)


def purge(project: Project, chosen: Iterable[Expired], holder: str, listen: Listener) -> Iterator[Expired]:
    """Drop these, and give each when it is gone.

    Raises LeaseTaken when somebody works on the migration, LockBudgetExceeded when another session holds its table.
    """
    for (database, migration), tables in groupby(chosen, lambda each: (each.database, each.migration)):
        wanted = {each.stored_in for each in tables}
        with reading(project.databases[database], "crossfade purge") as connection:
            record = Ledger(connection).migration(migration)
        assert record is not None
        settings = thaw(record).settings
        site = Site(project.databases[database], migration, holder, settings, listen, from_environment(), project.root)
        with closing(site):
            # Asked again under the lease: it may have been taken back since.
            for each in _expired(site.work, database, migration):
                if each.stored_in in wanted:
                    run_ddl(site, _drop(each))
                    yield each


def refuse_purged(plan: Plan, database: str, connection: psycopg.Connection[Any], stays: Leg | None) -> None:
    """Raises Blocked when the way back to `stays` needs old values that were purged."""
    purged = connection.execute(
        "SELECT relation, columns, leg, purged_at FROM crossfade.archive"
        " WHERE migration = %s AND purged_at IS NOT NULL ORDER BY purged_at",
        (plan.migration,),
    ).fetchall()
    for relation, columns, leg, when in purged:
        made_in = plan.leg(leg)
        # Back to that very leg it would stand without what the leg is there to keep.
        if made_in is not None and (stays is None or stays.order <= made_in.order):
            raise Blocked(
                f"{plan.migration} cannot be taken back to {leg} or past it: the old values of {relation}"
                f" ({', '.join(columns)}) in {database} were purged on {when:%Y-%m-%d}",
                why="nothing else has them, and rows would come back without them",
                fix="write a new migration that brings back what is needed, or restore them from a backup",
            )


def _expired(connection: psycopg.Connection[Any], database: str, migration: str | None) -> list[Expired]:
    with connection.cursor(row_factory=args_row(Expired)) as cursor:
        return cursor.execute(_EXPIRED, {"database": database, "migration": migration}).fetchall()


def _drop(old: Expired) -> Ddl:
    stored_in = sql.Literal(old.stored_in)
    return Ddl(
        id=f"purge/{old.stored_in}",
        leg=stage_leg("archive"),
        database=old.database,
        title=f"drop the old values of {old.relation}",
        statements=text(
            sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier("crossfade", old.stored_in)),
            # Or a type whose values others kept: these were noted before it, and are gone by now.
            sql.SQL("DROP TYPE IF EXISTS {}").format(sql.Identifier("crossfade", old.stored_in)),
            sql.SQL("UPDATE crossfade.archive SET purged_at = crossfade.clock() WHERE stored_in = {}").format(
                stored_in
            ),
            sql.SQL(
                "SELECT crossfade.append_event(migration, 'old values purged',"
                " pg_catalog.jsonb_build_object('relation', relation,"
                " 'columns', columns, 'stored_in', stored_in, 'keep_until', keep_until))"
                " FROM crossfade.archive WHERE stored_in = {}"
            ).format(stored_in),
        ),
        irreversible=True,
    )
