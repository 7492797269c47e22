"""One direction of logical replication: its publication and slot at one end, its subscription at the other.

Each function converges: what is there of it is left as it is, what is not is made.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace

import psycopg
from psycopg import conninfo, errors, sql

from crossfade.execute.errors import StepRefused
from crossfade.execute.site import Site
from crossfade.steps.compose import names, table
from crossfade.steps.step import Relation, ReplicatedTable, Replication

_SHAPE = """
SELECT pg_catalog.format('%%s.%%s.%%s %%s', n.nspname, c.relname, a.attname,
                         pg_catalog.format_type(a.atttypid, a.atttypmod))
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attgenerated = ''
   AND n.nspname = ANY (%s) AND c.relpersistence = 'p'"""
_STATES = """
SELECT pg_catalog.count(*) FILTER (WHERE r.srsubstate = 'r'), pg_catalog.count(*)
  FROM pg_catalog.pg_subscription_rel AS r JOIN pg_catalog.pg_subscription AS s ON s.oid = r.srsubid
 WHERE s.subname = %s AND s.subdbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())"""
_SUBSCRIPTION = """
SELECT subenabled FROM pg_catalog.pg_subscription
 WHERE subname = %s AND subdbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())"""
# As PostgreSQL names the slots of its workers that copy a table: by the subscription, the table and the cluster.
_SYNCHRONIZING = """
SELECT 'pg\\_' || s.oid || '\\_sync\\_%%\\_' || c.system_identifier
  FROM pg_catalog.pg_subscription AS s, pg_catalog.pg_control_system() AS c
 WHERE s.subname = %s AND s.subdbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())"""
_DROP_SLOTS = """
SELECT pg_catalog.pg_terminate_backend(active_pid) FROM pg_catalog.pg_replication_slots
 WHERE active AND database = current_database() AND slot_name LIKE ANY (%(slots)s)
UNION ALL
SELECT pg_catalog.pg_drop_replication_slot(slot_name) IS NULL FROM pg_catalog.pg_replication_slots
 WHERE NOT active AND database = current_database() AND slot_name LIKE ANY (%(slots)s)"""
_SLOT = "SELECT 1 FROM pg_catalog.pg_replication_slots WHERE slot_name = %s"
_LET_GO = """
SELECT pg_catalog.pg_terminate_backend(active_pid) FROM pg_catalog.pg_replication_slots
 WHERE slot_name = %s AND active"""
_APPLIED = """
SELECT coalesce((SELECT r.replay_lsn >= %s::pg_lsn
                   FROM pg_catalog.pg_replication_slots AS s JOIN pg_stat_replication AS r ON r.pid = s.active_pid
                  WHERE s.slot_name = %s), false)"""
# The statement bears the address, maybe with a password: no log, view or statistics of the server is to show it.
_UNSEEN = {
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_min_error_statement": "panic",
    "pg_stat_statements.track_utility": "off",
}
_POLL = 0.02  # seconds
_RELEASE = 10.0  # seconds that a walsender may take to end


def read_shape(site: Site, schemas: Iterable[str]) -> frozenset[str]:
    """Every column of every lasting table of the schemas that replication would carry, with its type."""
    return frozenset(each for (each,) in site.work.execute(_SHAPE, (sorted(schemas),)))


def refuse_other_shape(site: Site, of: Replication) -> None:
    """Raises StepRefused when DDL came between: replication does not carry it. site: of either end."""
    planned = frozenset(of.shape)
    now = read_shape(site, {each.partition(".")[0] for each in planned})
    came, went = sorted(now - planned), sorted(planned - now)
    if came or went:
        told = [f"{each} came" for each in came] + [f"{each} went" for each in went]
        raise StepRefused(
            f"the tables of {site.name} are not those that were planned for: {'; '.join(told[:5])}",
            why="logical replication carries rows and no DDL: what is written there would be lost, or stop it",
            fix=f"take that change back in {site.name}, or `crossfade rollback {site.migration}`, make it in both"
            " databases, and begin anew",
        )


def publish(site: Site, of: Replication) -> None:
    """The publication, and then the slot, which keeps all that is written from then on. site: the publisher's."""
    with site.transaction() as work:
        site.limit_lock_waits(work)
        if not work.execute("SELECT 1 FROM pg_catalog.pg_publication WHERE pubname = %s", (of.name,)).fetchone():
            # Rows of partitions as rows of their table: the other end may have it in other partitions, or in none.
            work.execute(
                sql.SQL("CREATE PUBLICATION {} FOR TABLE {} WITH (publish_via_partition_root = true)").format(
                    sql.Identifier(of.name), sql.SQL(", ").join(_published(each) for each in of.tables)
                )
            )
    site.confirm()
    if not site.work.execute(
        "SELECT 1 FROM pg_catalog.pg_replication_slots WHERE slot_name = %s", (of.name,)
    ).fetchone():
        # Waits until the transactions that write now are over; nobody waits for it.
        site.work.execute("SELECT pg_catalog.pg_create_logical_replication_slot(%s, 'pgoutput')", (of.name,))


def subscribe(site: Site, publisher: Site, of: Replication, *, copying: bool) -> None:
    """The subscription to a slot that is there; copying: it begins with all rows, else it is disabled at first."""
    if is_subscribed(site, of) is not None:
        return
    address = conninfo.make_conninfo(reached(publisher, of.reached), application_name=of.name)
    with site.transaction() as work:
        if _is_superuser(work):
            work.execute(
                "SELECT pg_catalog.set_config(name, value, true) FROM unnest(%s::text[], %s::text[]) AS s(name, value)",
                ([*_UNSEEN], [*_UNSEEN.values()]),
            )
            work.execute("SET LOCAL track_activities = off")
        work.execute(
            sql.SQL(
                "CREATE SUBSCRIPTION {name} CONNECTION {address} PUBLICATION {name}"
                " WITH (create_slot = false, slot_name = {slot}, enabled = {copying}, copy_data = {copying})"
            ).format(
                name=sql.Identifier(of.name),
                address=sql.Literal(address),
                slot=sql.Literal(of.name),
                copying=sql.SQL("true" if copying else "false"),
            )
        )


def reached(site: Site, reference: str | None) -> str:
    """The address of a database for servers and poolers: kept at the reference, or ours."""
    return (site.database if reference is None else replace(site.database, url=reference)).conninfo()


def is_subscribed(site: Site, of: Replication) -> bool | None:
    """The subscription is enabled; None: there is none."""
    row = site.work.execute(_SUBSCRIPTION, (of.name,)).fetchone()
    return row[0] if row else None


def enable(site: Site, of: Replication) -> None:
    if is_subscribed(site, of) is False:
        with site.transaction() as work:
            work.execute(sql.SQL("ALTER SUBSCRIPTION {} ENABLE").format(sql.Identifier(of.name)))


def disable(site: Site, publisher: Site, of: Replication, within: float = _RELEASE) -> None:
    """Nothing of it is applied any more when this returns; the slot keeps what comes."""
    if is_subscribed(site, of):
        with site.transaction() as work:
            work.execute(sql.SQL("ALTER SUBSCRIPTION {} DISABLE").format(sql.Identifier(of.name)))
    until = time.monotonic() + within
    # By itself its worker would notice within a second, for which clients may be waiting.
    while publisher.work.execute(_LET_GO, (of.name,)).fetchone():
        if time.monotonic() > until:
            raise StepRefused(
                f"the replication {of.name} from {of.publisher} does not stop",
                why=f"its worker in {of.subscriber} is still at work on a transaction",
                fix=f"run {site.to_go_on} again when it is done",
            )
        time.sleep(_POLL)


def copied(site: Site, of: Replication) -> tuple[int, int]:
    """Tables that are copied and follow, and all. site: the subscriber's."""
    row = site.work.execute(_STATES, (of.name,)).fetchone()
    assert row is not None
    return row[0], row[1]


def is_at_work(site: Site, of: Replication) -> bool:
    """Any worker of it is, now. site: the subscriber's."""
    row = site.work.execute(
        "SELECT EXISTS (SELECT FROM pg_stat_subscription WHERE subname = %s AND pid IS NOT NULL)", (of.name,)
    ).fetchone()
    assert row is not None
    return row[0]


def failures(site: Site, of: Replication) -> int:
    """How often its workers have failed; before PostgreSQL 15 nobody counts. site: the subscriber's."""
    if site.work.info.server_version < 150000:
        return 0
    row = site.work.execute(
        "SELECT apply_error_count + sync_error_count FROM pg_catalog.pg_stat_subscription_stats WHERE subname = %s",
        (of.name,),
    ).fetchone()
    return row[0] if row else 0


def written(site: Site) -> str:
    """Up to where its log is written and flushed, with all that has committed by now. site: the publisher's."""
    with site.transaction() as work:  # a commit, which flushes those before it that did not wait for it
        work.execute("SELECT pg_catalog.pg_logical_emit_message(true, 'crossfade', '')")
    row = site.work.execute("SELECT pg_catalog.pg_current_wal_flush_lsn()::text").fetchone()
    assert row is not None
    return row[0]


def has_applied(publisher: Site, of: Replication, upto: str) -> bool:
    """The subscriber has applied all that was written up to there."""
    row = publisher.work.execute(_APPLIED, (upto, of.name)).fetchone()
    assert row is not None
    return row[0]


def skip(publisher: Site, of: Replication) -> None:
    """The slot tells only of what is written from now on."""
    upto = written(publisher)
    publisher.work.execute("SELECT pg_catalog.pg_replication_slot_advance(%s, %s::pg_lsn)", (of.name, upto))


def end(site: Site, publisher: Site, of: Replication) -> None:
    """Take away both ends. site: the subscriber's.

    The subscription last but one: while it is there, its slots can be found that copied single tables.
    """
    slots = [of.name.replace("_", r"\_")]  # patterns of LIKE
    row = site.work.execute(_SYNCHRONIZING, (of.name,)).fetchone()
    if row is not None:
        slots.append(row[0])
        with site.transaction() as work:
            work.execute(sql.SQL("ALTER SUBSCRIPTION {} DISABLE").format(sql.Identifier(of.name)))
    _drop_slots(publisher, slots)
    if row is not None:
        name = sql.Identifier(of.name)
        with site.transaction() as work:
            work.execute(sql.SQL("ALTER SUBSCRIPTION {} SET (slot_name = NONE)").format(name))
            work.execute(sql.SQL("DROP SUBSCRIPTION {}").format(name))
    with publisher.transaction() as work:
        publisher.limit_lock_waits(work)
        work.execute(sql.SQL("DROP PUBLICATION IF EXISTS {}").format(sql.Identifier(of.name)))


def _drop_slots(publisher: Site, patterns: list[str]) -> None:
    until = time.monotonic() + _RELEASE
    while True:
        publisher.confirm()
        try:
            if not publisher.work.execute(_DROP_SLOTS, {"slots": patterns}).fetchall():
                return
        except errors.ObjectInUse:  # who has just been told to let go of it
            if time.monotonic() > until:
                raise
            time.sleep(_POLL)


def _published(each: ReplicatedTable) -> sql.Composable:
    if not each.only:
        return table(each.relation)
    return sql.SQL("{} ({})").format(table(each.relation), names(each.columns))


def _is_superuser(work: psycopg.Connection[object]) -> bool:
    return work.info.parameter_status("is_superuser") == "on"


def is_empty(site: Site, relation: Relation) -> bool:
    row = site.work.execute(sql.SQL("SELECT NOT EXISTS (SELECT FROM {})").format(table(relation))).fetchone()
    assert row is not None
    return row[0]
