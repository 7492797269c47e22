"""The trigger that keeps both sides of a table's pairs in step.

One function a table and migration. It decides who wrote by which side changed (bytes compared, so that '05'
and '5' differ), maps to the other side, and marks the row as mapped. A value that cannot be mapped never fails
the statement: the row is marked false and noted in crossfade.conflict.
"""

from __future__ import annotations

from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps.agreement import agrees, agrees_function, agrees_signature, asks_by_function
from crossfade.steps.conflicts import BOTH_WRITTEN, NOT_FILLED
from crossfade.steps.pair_block import block
from crossfade.steps.plpgsql import commented, quoted, settings
from crossfade.steps.rows import Moment, Pair, Sides
from crossfade.steps.triggers import trigger_names, triggers


def install_sync(sides: Sides, moment: Moment) -> tuple[str, ...]:
    """Statements that install the function and its triggers for the moment; they replace those of another moment."""
    name = sql.Identifier("crossfade", sides.own("sync"))
    statements = [_function(sides, moment, name)]
    comment = f"crossfade: keeps {sides.table.name} in step for old and new versions; migration {sides.migration}"
    statements.append(sql.SQL("COMMENT ON FUNCTION {}() IS {}").format(name, sql.Literal(comment)))
    for trigger in triggers(sides, moment):
        arguments = sql.SQL(", ").join(map(sql.Literal, trigger.arguments))
        statements.append(
            sql.SQL("CREATE OR REPLACE TRIGGER {} {} ON {} FOR EACH ROW WHEN ({}) EXECUTE FUNCTION {}({})").format(
                sql.Identifier(trigger.name), trigger.event, sides.sql, trigger.when, name, arguments
            )
        )
        # ALWAYS: rows that come by logical replication or under session_replication_role are mapped too.
        statements.append(sides.alter("ENABLE ALWAYS TRIGGER {}", trigger.name))
    if asks_by_function(sides):
        statements.append(agrees_function(sides, moment))
        # Asked by the trigger too, hence by every writer.
        statements.append(sql.SQL("GRANT EXECUTE ON FUNCTION {} TO PUBLIC").format(agrees_signature(sides)))
    return tuple(statement.as_string(None) for statement in statements)


def remove_sync(sides: Sides) -> tuple[str, ...]:
    """Statements that take the triggers away, then the functions: in this order, in one transaction."""
    statements = [
        sql.SQL("DROP TRIGGER IF EXISTS {} ON {}").format(sql.Identifier(trigger), sides.sql)
        for trigger in trigger_names(sides)
    ]
    statements.append(sql.SQL("DROP FUNCTION IF EXISTS {}()").format(sql.Identifier("crossfade", sides.own("sync"))))
    if asks_by_function(sides):
        statements.append(sql.SQL("DROP FUNCTION IF EXISTS {}").format(agrees_signature(sides)))
    return tuple(statement.as_string(None) for statement in statements)


def witness(sides: Sides) -> str:
    """A query for one text that changes when the table is rewritten or its sync was ever off since."""
    return (
        sql.SQL(
            """
SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', kind, oid, version, enabled), ',' ORDER BY kind, oid) FROM (
  SELECT 'table' AS kind, c.oid, pg_catalog.pg_relation_filenode(c.oid)::text AS version, NULL AS enabled
    FROM pg_catalog.pg_partition_tree({table}::regclass) AS p JOIN pg_class AS c ON c.oid = p.relid::oid
   WHERE c.relkind = 'r'
  UNION
  SELECT 'table', c.oid, c.relfilenode::text, NULL FROM pg_class AS c WHERE c.oid = {table}::regclass::oid
  UNION ALL
  SELECT 'trigger', t.oid, t.xmin::text, t.tgenabled::text
    FROM pg_trigger AS t
   WHERE t.tgname IN ({triggers})
     AND (t.tgrelid = {table}::regclass::oid
          OR t.tgrelid IN (SELECT relid::oid FROM pg_catalog.pg_partition_tree({table}::regclass)))
  UNION ALL
  SELECT 'function', f.oid, f.xmin::text, NULL
    FROM pg_proc AS f WHERE f.proname = {function} AND f.pronamespace = 'crossfade'::regnamespace::oid
) AS facts"""
        )
        .format(
            table=sql.Literal(sides.sql.as_string(None)),
            triggers=sql.SQL(", ").join(map(sql.Literal, trigger_names(sides))),
            function=sql.Literal(sides.own("sync")),
        )
        .as_string(None)
    )


def always_on(sides: Sides) -> str:
    """A query: the triggers are there, on every partition too, and enabled ALWAYS."""
    return (
        sql.SQL(
            """
SELECT pg_catalog.bool_and({count} = (SELECT pg_catalog.count(*) FROM pg_trigger AS t
                      WHERE t.tgrelid = tables.oid AND t.tgname IN ({triggers}) AND t.tgenabled = 'A'))
  FROM (SELECT {table}::regclass::oid AS oid
        UNION SELECT relid::oid FROM pg_catalog.pg_partition_tree({table}::regclass)) AS tables"""
        )
        .format(
            table=sql.Literal(sides.sql.as_string(None)),
            count=sql.Literal(len(trigger_names(sides))),
            triggers=sql.SQL(", ").join(map(sql.Literal, trigger_names(sides))),
        )
        .as_string(None)
    )


def unbroken(sides: Sides) -> str:
    """A query that counts the triggers of ours which are not as they were made, at one go with their function.

    The catalog tells it by itself: who makes a function notes in that transaction what it depends on, and a trigger
    that was made or switched in another one was not there, or not on, in between. A partition's came with it.
    """
    return (
        sql.SQL(
            """
SELECT pg_catalog.count(*) AS "sync triggers that were off, or not there, for a while"
  FROM pg_trigger AS t
 WHERE t.tgname IN ({triggers})
   AND (t.tgrelid = {table}::regclass::oid
        OR t.tgrelid IN (SELECT relid::oid FROM pg_catalog.pg_partition_tree({table}::regclass)))
   AND NOT EXISTS (
         SELECT FROM pg_depend AS d
          WHERE d.xmin = t.xmin
            AND CASE t.tgparentid
                WHEN 0 THEN d.classid = 'pg_proc'::regclass AND d.objid = t.tgfoid
                ELSE d.classid = 'pg_trigger'::regclass AND d.objid = t.oid END)"""
        )
        .format(
            table=sql.Literal(sides.sql.as_string(None)),
            triggers=sql.SQL(", ").join(map(sql.Literal, trigger_names(sides))),
        )
        .as_string(None)
    )


def key_json(sides: Sides, row: sql.Composable) -> sql.Composable:
    """The row's key as jsonb, or NULL for a table without one."""
    if not sides.key:
        return sql.SQL("NULL::jsonb")
    parts = [sql.SQL("{}, {}.{}").format(sql.Literal(column), row, sql.Identifier(column)) for column in sides.key]
    return sql.SQL("pg_catalog.jsonb_build_object({})").format(sql.SQL(", ").join(parts))


def _function(sides: Sides, moment: Moment, name: sql.Identifier) -> sql.Composable:
    blocks = sql.SQL("\n").join(block(sides, pair, moment) for pair in _in_order(sides, moment))
    marker = sql.Identifier(sides.marker)
    body = sql.SQL(
        """
-- Keeps both versions' columns of {title} in step while migration {migration} runs; its archive stage ends it.
DECLARE
  old_wrote boolean;
  new_wrote boolean;
  failed text;     -- SQLSTATE of a value that could not be mapped, or {disagree}: both sides written, and they disagree
BEGIN
{blocks}{waiting}
  new.{marker} := failed IS NULL;
  IF failed IS NOT NULL THEN
    PERFORM crossfade.note_conflict({id}, {relation}, {key}, failed);
  ELSIF TG_OP = 'UPDATE' AND old.{marker} IS FALSE THEN
    new.{marker} := {agree};  -- a pair that nobody wrote may be the one in conflict
    IF new.{marker} THEN
      PERFORM crossfade.resolve_conflict({id}, {relation}, {key});
    END IF;
  END IF;
  RETURN new;
END
"""
    ).format(
        title=trusted(commented(str(sides.table.name))),
        migration=trusted(sides.migration),
        blocks=blocks,
        waiting=_waiting(sides),
        marker=marker,
        id=sql.Literal(sides.migration),
        relation=sql.Literal(str(sides.table.name)),
        key=key_json(sides, sql.SQL("new")),
        agree=agrees(sides, moment, "new"),
        disagree=trusted(BOTH_WRITTEN),
    )
    return sql.SQL("CREATE OR REPLACE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql {} AS {}").format(
        name, settings(sides), quoted(body)
    )


def _waiting(sides: Sides) -> sql.Composable:
    if not sides.waits:
        return sql.SQL("")
    return sql.SQL(
        """
  IF failed = {} THEN
    new.{} := NULL;  -- not mapped yet: the walk comes by when there is something to map it to
    RETURN new;
  END IF;"""
    ).format(sql.Literal(NOT_FILLED), sql.Identifier(sides.marker))


def _in_order(sides: Sides, moment: Moment) -> list[Pair]:
    """The mapped pairs, each after those that write a column its `up` reads: one write may pass through several."""
    waiting = [pair for pair in sides.pairs if pair.up or pair.down]
    waiting.sort(key=lambda pair: not sides.turned(pair, moment))
    ordered: list[Pair] = []
    while waiting:

        def waits(pair: Pair) -> bool:
            reads = {*sides.up_reads(pair, "side by side"), *(() if pair.new else pair.down)}
            return any(
                reads & set(other.down)
                for other in waiting
                if other is not pair and other.new and sides.turned(other, moment) == sides.turned(pair, moment)
            )

        chosen = next((pair for pair in waiting if not waits(pair)), waiting[0])
        waiting.remove(chosen)
        ordered.append(chosen)
    return ordered
