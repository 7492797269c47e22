"""An index rebuilt in its place: the step, when it is worth while, and what one that was cut off leaves."""

from __future__ import annotations

from re import fullmatch

from crossfade.composing import sql
from crossfade.spec.values import LONGEST_NAME
from crossfade.steps.compose import lock
from crossfade.steps.rules import Place
from crossfade.steps.step import RebuildIndex

# What a btree of so many rows fills when it is new, by the statistics of its columns, against what it fills. An entry
# has a head of 8 bytes and a pointer of 4; those of equal keys are one with a list of 6 bytes each.
_IS_BLOATED = """
WITH whole AS (
  SELECT c.oid, c.reltuples::float8 AS entries, pg_catalog.pg_relation_size(c.oid)::float8 AS bytes,
         pg_catalog.current_setting('block_size')::float8 AS block, x.indrelid AS of, n.nspname AS schema,
         t.relname AS owner, c.relname AS name, x.indnkeyatts AS keys,
         coalesce((SELECT option_value::float8 FROM pg_catalog.pg_options_to_table(c.reloptions)
                    WHERE option_name = 'fillfactor'), 90) / 100 AS filled,
         NOT x.indisunique AND coalesce((SELECT option_value::boolean FROM pg_catalog.pg_options_to_table(c.reloptions)
                                          WHERE option_name = 'deduplicate_items'), true) AS shares
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_index AS x ON x.indexrelid = c.oid
         JOIN pg_catalog.pg_class AS t ON t.oid = x.indrelid JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace
   WHERE c.oid = {index}::regclass::oid
), part AS (
  SELECT w.*, s.avg_width, s.null_frac, a.attnum <= w.keys AS is_key,
         CASE WHEN s.n_distinct < 0 THEN -s.n_distinct * w.entries ELSE s.n_distinct END AS distincts
    FROM whole AS w JOIN pg_catalog.pg_attribute AS a ON a.attrelid = w.oid
         JOIN pg_catalog.pg_index AS x ON x.indexrelid = w.oid
         LEFT JOIN pg_catalog.pg_attribute AS of ON of.attrelid = w.of AND of.attnum = x.indkey[a.attnum - 1]
         LEFT JOIN pg_catalog.pg_stats AS s ON s.schemaname = w.schema
          AND s.tablename = CASE WHEN of.attnum > 0 THEN w.owner ELSE w.name END
          AND s.attname = CASE WHEN of.attnum > 0 THEN of.attname ELSE a.attname END
), entry AS (
  SELECT bytes, entries, block, filled, shares, pg_catalog.bool_and(avg_width IS NOT NULL) AS known,
         4 + 8 + 8 * pg_catalog.ceil(pg_catalog.sum((1 - null_frac) * avg_width) / 8) AS width,
         least(entries, pg_catalog.exp(pg_catalog.sum(pg_catalog.ln(greatest(distincts, 1)))
                                       FILTER (WHERE is_key))) AS groups
    FROM part GROUP BY bytes, entries, block, filled, shares
), needed AS (
  SELECT bytes, known AND entries >= 0 AS known,
         2 * block + (CASE WHEN shares AND groups < entries / 2 THEN groups * width + 6 * entries
                           ELSE entries * width END) / ((block - 40) * filled) * block AS wanted
    FROM entry)
SELECT NOT coalesce(known, false) OR bytes * (1 - {share}) > wanted FROM needed"""


def rebuild(place: Place, index: str, when_bloated: int | None) -> RebuildIndex:
    """when_bloated: percent of it that must be wasted; None: it is rebuilt as it is."""
    return RebuildIndex(
        id=place.id("index", index, "rebuild"),
        leg=place.leg,
        database=place.database,
        title=f"rebuild index {index} of {place.relation}"
        + (f", where {when_bloated}% of it or more are wasted" if when_bloated is not None else ""),
        locks=lock(place.relation, "SHARE UPDATE EXCLUSIVE"),
        relation=place.relation,
        index=index,
        needed=_is_bloated(place, index, when_bloated) if when_bloated is not None else None,
        undo_title="nothing to take back: it is the same index",
    )


def is_left_of(index: str, name: str) -> bool:
    """So PostgreSQL calls what a rebuild of the index leaves that was cut off.

    A long name is cut so that the ending fits; where it is taken, they are counted.
    """
    parts = fullmatch(r"(.*)(_cc(?:new|old)\d*)", name)
    return parts is not None and parts[1] == index.encode()[: LONGEST_NAME - len(parts[2])].decode(errors="ignore")


def _is_bloated(place: Place, index: str, percent: int) -> str:
    """True too where no statistics tell."""
    qualified = sql.Identifier(place.relation.schema_name, index).as_string(None)
    return (
        sql.SQL(_IS_BLOATED)
        .format(index=sql.Literal(qualified), share=sql.Literal(percent / 100))
        .as_string(None)
        .strip()
    )
