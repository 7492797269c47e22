"""What samples of pg_stat_statements have told: which statements were called, and since when nothing escaped."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from psycopg.rows import class_row

from crossfade.ledger.events import Events
from crossfade.ledger.records import OldWrites, UsageNode, UsageStatement

MOST_STATEMENTS = 20_000  # of a node; those called longest ago are forgotten first

_NODE = (
    "node, covered_since, sampled_at, samples, longest_gap, server_version, reset_at, evictions, evicted, standbys,"
    " left_out, unread_at, shared_at, evicted_at, unsampled_at, limits"
)
_STATEMENT = "node, role, queryid, text, names, calls, exec_time, called_at, seen"


class Usage(Events):
    """Samples, by node. Writers of one node take turns: `lock_usage_node` first."""

    def usage_nodes(self) -> tuple[UsageNode, ...]:
        with self.connection.cursor(row_factory=class_row(UsageNode)) as cursor:
            return tuple(cursor.execute(f"SELECT {_NODE} FROM crossfade.usage_node ORDER BY node").fetchall())

    def lock_usage_node(self, node: str, now: datetime, server_version: int) -> tuple[UsageNode, bool]:
        """The node, until the transaction ends, and whether it is new."""
        made = self.connection.execute(
            "INSERT INTO crossfade.usage_node (node, covered_since, sampled_at, server_version)"
            " VALUES (%s, %s, %s, %s) ON CONFLICT (node) DO NOTHING",
            (node, now, now, server_version),
        )
        with self.connection.cursor(row_factory=class_row(UsageNode)) as cursor:
            found = cursor.execute(
                f"SELECT {_NODE} FROM crossfade.usage_node WHERE node = %s FOR UPDATE", (node,)
            ).fetchone()
        assert found is not None
        return found, made.rowcount == 1

    def write_usage_node(self, node: UsageNode) -> None:
        self.connection.execute(
            """
UPDATE crossfade.usage_node
   SET covered_since = %s, sampled_at = %s, samples = %s, longest_gap = %s, server_version = %s, reset_at = %s,
       evictions = %s, evicted = %s, standbys = %s, left_out = %s, unread_at = %s, shared_at = %s,
       evicted_at = %s, unsampled_at = %s, limits = %s
 WHERE node = %s""",
            (
                node.covered_since,
                node.sampled_at,
                node.samples,
                node.longest_gap,
                node.server_version,
                node.reset_at,
                node.evictions,
                node.evicted,
                node.standbys,
                list(node.left_out),
                node.unread_at,
                node.shared_at,
                node.evicted_at,
                node.unsampled_at,
                list(node.limits),
                node.node,
            ),
        )

    def keep_usage_nodes(self, nodes: Collection[str]) -> None:
        """Forget the others, which are sampled no more."""
        self.connection.execute("DELETE FROM crossfade.usage_node WHERE node <> ALL (%s)", (list(nodes),))

    def usage_counters(self, node: str) -> dict[tuple[str, int], tuple[int, float]]:
        """calls and exec_time by role and queryid."""
        rows = self.connection.execute(
            "SELECT role, queryid, calls, exec_time FROM crossfade.usage_statement WHERE node = %s", (node,)
        ).fetchall()
        return {(role, queryid): (calls, time) for role, queryid, calls, time in rows}

    def write_usage_statements(self, statements: Iterable[UsageStatement]) -> None:
        """Insert or renew; `seen` is added to what was seen before, an empty text leaves the one that is there."""
        with self.connection.cursor() as cursor:
            cursor.executemany(
                """
INSERT INTO crossfade.usage_statement AS s
       (node, role, queryid, text, names, calls, exec_time, called_at, seen)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (node, role, queryid) DO UPDATE
   SET calls = excluded.calls, exec_time = excluded.exec_time, called_at = excluded.called_at,
       seen = s.seen + excluded.seen""",
                [
                    (
                        each.node,
                        each.role,
                        each.queryid,
                        each.text,
                        list(each.names) if each.names is not None else None,
                        each.calls,
                        each.exec_time,
                        each.called_at,
                        each.seen,
                    )
                    for each in statements
                ],
            )

    def forget_usage(self, node: str, most: int = MOST_STATEMENTS) -> datetime | None:
        """Delete all but so many statements of the node; gives when the latest of those deleted was called."""
        row = self.connection.execute(
            """
WITH gone AS (
  DELETE FROM crossfade.usage_statement AS s USING (
    SELECT role, queryid FROM crossfade.usage_statement WHERE node = %(node)s
     ORDER BY called_at DESC NULLS LAST OFFSET %(most)s) AS old
   WHERE s.node = %(node)s AND (s.role, s.queryid) = (old.role, old.queryid)
  RETURNING s.called_at)
SELECT pg_catalog.max(called_at) FROM gone""",
            {"node": node, "most": most},
        ).fetchone()
        return row[0] if row is not None else None

    def usage_statements(self, since: datetime) -> tuple[UsageStatement, ...]:
        """Those called after that moment, the latest first."""
        with self.connection.cursor(row_factory=class_row(UsageStatement)) as cursor:
            return tuple(
                cursor.execute(
                    f"SELECT {_STATEMENT} FROM crossfade.usage_statement WHERE called_at > %s"
                    " ORDER BY called_at DESC, seen DESC, queryid",
                    (since,),
                ).fetchall()
            )

    def old_writes(self, relation: str, column: str, since: datetime) -> tuple[OldWrites, ...]:
        """Who wrote the column of the table after that moment, the latest first."""
        with self.connection.cursor(row_factory=class_row(OldWrites)) as cursor:
            return tuple(
                cursor.execute(
                    """
SELECT role, application, pg_catalog.sum(calls)::bigint AS calls, pg_catalog.min(first_at) AS first_at,
       pg_catalog.max(last_at) AS last_at
  FROM crossfade.old_write WHERE relation = %s AND column_name = %s
 GROUP BY role, application HAVING pg_catalog.max(last_at) > %s
 ORDER BY last_at DESC, role, application""",
                    (relation, column, since),
                ).fetchall()
            )

    def gather_old_writes(self) -> None:
        """Make one row of those of the same writer; rows that another session gathers are left to it.

        All rows get new ids, where any are gathered: how many there were since is told by their distance.
        """
        self.connection.execute(
            """
WITH gone AS (
  DELETE FROM crossfade.old_write WHERE id IN (
    SELECT id FROM crossfade.old_write
     WHERE (SELECT pg_catalog.count(*)
                   <> pg_catalog.count(DISTINCT (migration, relation, column_name, role, application))
              FROM crossfade.old_write)
       FOR UPDATE SKIP LOCKED)
  RETURNING *)
INSERT INTO crossfade.old_write (migration, relation, column_name, role, application, calls, first_at, last_at)
SELECT migration, relation, column_name, role, application, pg_catalog.sum(calls), pg_catalog.min(first_at),
       pg_catalog.max(last_at)
  FROM gone GROUP BY migration, relation, column_name, role, application"""
        )
