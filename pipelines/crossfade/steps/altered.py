"""The question before old columns are hidden: are they, and what follows them, still what the plan saw?

Their default, comment and NOT NULL were carried over when the plan was made; what somebody gave them since would
vanish with them. So would what somebody has made of a view since.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from crossfade.composing import sql
from crossfade.spec.model import STAGES, Stage
from crossfade.spec.values import LONGEST_NAME
from crossfade.steps.compose import lock
from crossfade.steps.followers import Follower, followers
from crossfade.steps.rows import Sides
from crossfade.steps.step import Check, Leg, Lock, stage_leg

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

# The same of what follows; a subquery that CASE chooses is not run before.
_FOLLOWERS_AS_PLANNED = """
WITH plain AS MATERIALIZED (SELECT pg_catalog.set_config('search_path', '', true) = '' AS path)
SELECT {counts}
  FROM plain"""
_DIFFERENCES = """CASE WHEN plain.path THEN (
    WITH found (fact) AS ({facts}), planned (fact) AS (VALUES {told})
    SELECT pg_catalog.count(*) FROM ((TABLE found EXCEPT TABLE planned)
                                     UNION ALL (TABLE planned EXCEPT TABLE found)) AS differing) END AS {counted}"""


def as_planned(sides: Sides, stage: Stage) -> Iterator[Check]:
    """Answered by the catalog alone, of the columns that `stage` hides, and of what follows these."""
    yield from _columns_as_planned(sides, stage)
    yield from _followers_as_planned(sides, stage)


def _columns_as_planned(sides: Sides, stage: Stage) -> Iterator[Check]:
    names = [name for pair in sides.pairs if pair.turns_at == stage for name in pair.old]
    if not names:
        return
    planned = [
        sql.SQL("({}, {}, {}, {}::text, {}::text)").format(
            *map(sql.Literal, (column.name, column.type, sides.is_bound(column.name), column.default, column.comment))
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


def _followers_as_planned(sides: Sides, stage: Stage) -> Iterator[Check]:
    """Asked before the first turn that makes them again; what they are after it is our own doing."""
    earlier = {
        each.shown
        for each in followers(pair for pair in sides.pairs if STAGES.index(pair.turns_at) < STAGES.index(stage))
    }
    asked = [
        each for each in followers(pair for pair in sides.pairs if pair.turns_at == stage) if each.shown not in earlier
    ]
    if asked:
        locks = lock(sides.relation, "ACCESS SHARE")
        yield followers_as_planned(
            sides.id("altered", stage, "followers"), stage_leg(stage), sides.database, asked, locks
        )


def followers_as_planned(
    step_id: str, leg: Leg, database: str, asked: Sequence[Follower], locks: tuple[Lock, ...] = ()
) -> Check:
    """Before they are made again, or dropped with an undo that makes them again."""
    query = sql.SQL(_FOLLOWERS_AS_PLANNED).format(counts=sql.SQL(",\n       ").join(map(_differences, asked)))
    return Check(
        id=step_id,
        leg=leg,
        database=database,
        title=f"ask that {', '.join(each.shown for each in asked)} was not altered since the plan was made",
        locks=locks,
        query=query.as_string(None).strip(),
        for_next=True,
        fix="make it again as it was, let this migration go on, and change it after that; or roll back, and start again"
        " with a new plan; then run `crossfade up` again",
    )


def _differences(follower: Follower) -> sql.Composable:
    counted = f"alterations of {follower.shown}".encode()[:LONGEST_NAME].decode(errors="ignore")
    return sql.SQL(_DIFFERENCES).format(
        facts=follower.facts,
        told=sql.SQL(", ").join(sql.SQL("({}::text)").format(sql.Literal(fact)) for fact in follower.told),
        counted=sql.Identifier(counted),
    )
