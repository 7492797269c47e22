"""The question before old columns are hidden: are they still what the plan saw?

Their default, comment and NOT NULL were carried over when the plan was made; what somebody gave them since would
vanish with them.
"""

from __future__ import annotations

from collections.abc import Iterator

from crossfade.composing import sql
from crossfade.spec.model import Stage
from crossfade.steps.compose import lock
from crossfade.steps.rows import Sides
from crossfade.steps.step import Check, stage_leg

# Printed with an empty search_path, as the catalog was when the plan was made; that it was set must be known before.
_AS_PLANNED = """
WITH plain AS MATERIALIZED (SELECT pg_catalog.set_config('search_path', '', true) = '' AS path)
SELECT pg_catalog.count(*) FILTER (WHERE found.name IS NULL) AS "old columns gone or renamed",
       pg_catalog.count(*) FILTER (WHERE found.type <> planned.type) AS "old columns of another type than planned",
       pg_catalog.count(*) FILTER (WHERE found.required <> planned.required)
         AS "old columns with another NOT NULL than planned",
       pg_catalog.count(*) FILTER (WHERE found.name IS NOT NULL AND found.value IS DISTINCT FROM planned.value)
         AS "old columns with another default than planned",
       pg_catalog.count(*) FILTER (WHERE found.name IS NOT NULL AND found.comment IS DISTINCT FROM planned.comment)
         AS "old columns with another comment than planned"
  FROM (VALUES {planned}) AS planned (name, type, required, value, comment)
  LEFT JOIN (
    SELECT a.attname::text AS name,
           CASE WHEN plain.path THEN pg_catalog.format_type(a.atttypid, a.atttypmod) END AS type,
           a.attnotnull AND NOT EXISTS (
             SELECT FROM pg_constraint AS k
              WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND k.conkey[1] = a.attnum AND NOT k.convalidated
           ) AS required,
           CASE WHEN plain.path THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END AS value,
           pg_catalog.col_description(a.attrelid, a.attnum) AS comment
      FROM plain CROSS JOIN pg_attribute AS a
      LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE a.attrelid = {table}::regclass::oid AND a.attnum > 0 AND NOT a.attisdropped) AS found
    ON found.name = planned.name"""


def as_planned(sides: Sides, stage: Stage) -> Iterator[Check]:
    """Answered by the catalog alone, of the columns that `stage` hides."""
    names = [name for pair in sides.pairs if pair.turns_at == stage for name in pair.old]
    if not names:
        return
    planned = [
        sql.SQL("({}, {}, {}, {}::text, {}::text)").format(
            *map(sql.Literal, (column.name, column.type, column.not_null, column.default, column.comment))
        )
        for column in map(sides.old_column, names)
    ]
    query = sql.SQL(_AS_PLANNED).format(
        planned=sql.SQL(", ").join(planned), table=sql.Literal(sides.sql.as_string(None))
    )
    yield Check(
        id=sides.id("altered", stage),
        leg=stage_leg(stage),
        database=sides.database,
        title=f"ask that {', '.join(names)} of {sides.relation} was not altered since the plan was made",
        locks=lock(sides.relation, "ACCESS SHARE"),
        query=query.as_string(None).strip(),
        fix="alter it back and give the new column, once it has taken over, what is wanted; or roll back, and start"
        " again with a new plan; then run `crossfade up` again",
    )
