"""The last question before old columns go: what else rests on them, and is what the plan promised there?

Whoever builds an index over a column that is being replaced, after the plan was made, would lose it with the column.
"""

from __future__ import annotations

from crossfade.composing import sql
from crossfade.steps import carry
from crossfade.steps.compose import lock
from crossfade.steps.rows import Sides
from crossfade.steps.step import Check, Leg

# Of partitions what is their own, not what came with the parent's.
_UNKNOWN = """
SELECT o.name
  FROM pg_attribute AS a
  JOIN pg_depend AS d ON d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
   AND d.refclassid = 'pg_class'::regclass::oid
  JOIN (
    SELECT 'pg_class'::regclass::oid AS kind, i.indexrelid AS oid, c.relname AS name
      FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid WHERE NOT c.relispartition
    UNION ALL
    SELECT 'pg_constraint'::regclass::oid, k.oid, k.conname FROM pg_constraint AS k
     WHERE k.conparentid = 0::oid AND k.coninhcount = 0 AND k.contype IN ('c', 'f', 'u', 'x')
    UNION ALL
    SELECT 'pg_statistic_ext'::regclass::oid, s.oid, s.stxname FROM pg_statistic_ext AS s
  ) AS o ON o.kind = d.classid AND o.oid = d.objid
 WHERE a.attrelid IN (SELECT {table}::regclass::oid
                      UNION SELECT relid::oid FROM pg_catalog.pg_partition_tree({table}::regclass))
   AND a.attname = ANY ({columns}) AND o.name <> ALL ({known}) AND NOT pg_catalog.starts_with(o.name::text, '_cf_')
 GROUP BY o.name"""
_MISSING = """
SELECT FROM pg_catalog.unnest({promised}::name[]) AS promised (name)
 WHERE NOT EXISTS (SELECT FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
                    WHERE i.indrelid = {table}::regclass::oid AND c.relname = promised.name AND i.indisvalid)
   AND NOT EXISTS (SELECT FROM pg_constraint AS k
                    WHERE k.conrelid = {table}::regclass::oid AND k.conname = promised.name AND k.convalidated)"""


def nothing_left(sides: Sides, leg: Leg) -> Check:
    """Answered by the catalog alone."""
    table = sql.Literal(sides.sql.as_string(None))
    hidden = [sides.hidden(name) for name in sides.leaving]
    known = [found.name for found in (*sides.table.indexes, *sides.table.constraints)]
    unknown = sql.SQL(_UNKNOWN).format(table=table, columns=sql.Literal(hidden), known=sql.Literal(known))
    missing = sql.SQL(_MISSING).format(table=table, promised=sql.Literal(carry.promised(sides)))
    shown = ", ".join(sides.leaving)
    query = sql.SQL(
        "SELECT (SELECT pg_catalog.count(*) FROM ({}) AS unknown) AS {},"
        " (SELECT pg_catalog.count(*) FROM ({}) AS missing) AS {}"
    ).format(
        unknown,
        sql.Identifier("indexes, constraints or statistics that would go"),
        missing,
        sql.Identifier("indexes or constraints missing"),
    )
    return Check(
        id=sides.id("left", "ask"),
        leg=leg,
        database=sides.database,
        title=f"ask that nothing unplanned goes with {shown} of {sides.relation}, and that what was carried is there",
        locks=lock(sides.relation, "ACCESS SHARE"),
        query=query.as_string(None),
        find=unknown.as_string(None).strip(),
        fix="what would go: build it over the column that stays, if it is wanted there, and drop it; what is missing or"
        " invalid: build it again under its name; then run `crossfade up` again",
    )
