"""The trigger that keeps both sides of a table's pairs in step.

One function a table and migration. It decides who wrote by which side changed (bytes compared, so that '05'
and '5' differ), maps to the other side, and marks the row as mapped. A value that cannot be mapped never fails
the statement: the row is marked false and noted in crossfade.conflict.
"""

from __future__ import annotations

from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps.agreement import (
    agrees,
    agrees_function,
    agrees_signature,
    asks_by_function,
    comparable,
    pair_agrees,
)
from crossfade.steps.conflicts import BOTH_WRITTEN
from crossfade.steps.given import any_given, new_given, old_given
from crossfade.steps.plpgsql import commented, quoted, settings
from crossfade.steps.rows import Moment, Pair, Sides
from crossfade.steps.triggers import changed, emptied, trigger_names, triggers

# Conditions that are about the server or the transaction and not about the value: those must stay errors.
_NOT_ABOUT_THE_VALUE = ("40", "53", "55", "57", "58", "XX")


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


def key_json(sides: Sides, row: sql.Composable) -> sql.Composable:
    """The row's key as jsonb, or NULL for a table without one."""
    if not sides.key:
        return sql.SQL("NULL::jsonb")
    parts = [sql.SQL("{}, {}.{}").format(sql.Literal(column), row, sql.Identifier(column)) for column in sides.key]
    return sql.SQL("pg_catalog.jsonb_build_object({})").format(sql.SQL(", ").join(parts))


def _function(sides: Sides, moment: Moment, name: sql.Identifier) -> sql.Composable:
    blocks = sql.SQL("\n").join(
        _turned_block(sides, pair, moment) if sides.turned(pair, moment) else _both_ways_block(sides, pair, moment)
        for pair in _in_order(sides, moment)
    )
    marker = sql.Identifier(sides.marker)
    body = sql.SQL(
        """
-- Keeps both versions' columns of {title} in step while migration {migration} runs; its archive stage ends it.
DECLARE
  old_wrote boolean;
  new_wrote boolean;
  failed text;     -- SQLSTATE of a value that could not be mapped, or {disagree}: both sides written, and they disagree
BEGIN
{blocks}
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


def _both_ways_block(sides: Sides, pair: Pair, moment: Moment) -> sql.Composable:
    """Old and new versions both write: the side that changed is mapped to the other; a row not mapped yet goes up.

    Where one statement writes both, they stay as written, and are in conflict unless they agree: nothing else would
    see it before the turn. In a row that is in conflict (marked false) a pair nobody writes is left alone: which side
    is the newer one is not known any more. Only an empty new side is tried again.
    """
    old_reads = sides.up_reads(pair, moment)
    new_columns = tuple(sides.new_names(moment).get(column.name, column.name) for column in pair.new)
    down = _assign_down(sides, pair, moment) if pair.down else sql.SQL("    NULL;")
    parts = {
        "title": trusted(commented(pair.title)),
        "old_changed": changed(old_reads),
        "new_changed": changed(new_columns),
        "old_given": old_given(sides, pair, moment),
        "new_given": new_given(sides, pair, moment),
        "marker": sql.Identifier(sides.marker),
        "rest": _rest_of_new_side(sides, pair, moment),
        "down": down,
        "up": _assign_up(sides, pair, moment) if pair.up else sql.SQL("    NULL;"),
        "both_written": _both_written(sides, pair, moment),
    }
    if not pair.new:  # a column that leaves, with a value for writers that know it no more
        return sql.SQL(
            """  -- {title}
  IF TG_OP = 'INSERT' AND NOT ({old_given}) THEN
{down}
  END IF;"""
        ).format(**parts)
    return sql.SQL(
        """  -- {title}
  IF TG_OP = 'UPDATE' THEN
    old_wrote := {old_changed};
    new_wrote := {new_changed}{emptied};
  ELSE
    old_wrote := {old_given};
    new_wrote := {new_given};{by_schemas}
  END IF;
  IF new_wrote AND NOT old_wrote THEN
{rest}{down}
  ELSIF NOT new_wrote AND (old_wrote OR TG_OP = 'INSERT' OR new.{marker} IS NULL OR {again}) THEN
{up}{both_written}
  END IF;"""
    ).format(
        **parts,
        again=sql.SQL("(new.{} IS FALSE AND NOT ({}))").format(parts["marker"], any_given(new_columns)),
        by_schemas=_by_schemas(sides, pair),
        emptied=_by_statement(sides, pair),
    )


def _rest_of_new_side(sides: Sides, pair: Pair, moment: Moment) -> sql.Composable:
    """Of a row not mapped yet the new version may write some columns: the others come from the old side, or `down`
    would read them as empty."""
    if len(pair.up) < 2 or not pair.down:
        return sql.SQL("")
    names = sides.new_names(moment)
    lines = sql.SQL("\n").join(
        sql.SQL("      IF NOT ({}) THEN\n{}\n      END IF;").format(
            changed((names.get(column, column),)),
            _assign(pair, [(names.get(column, column), sides.up(pair, column, "new", moment))], emptied=True),
        )
        for column in pair.up
    )
    return sql.SQL("    IF TG_OP = 'UPDATE' AND new.{} IS NULL THEN\n{}\n    END IF;\n").format(
        sql.Identifier(sides.marker), lines
    )


def _by_schemas(sides: Sides, pair: Pair) -> sql.Composable:
    """Where a row gives both sides or none, each version has a default or a NULL of its own."""
    if sides.schemas is None or not pair.old:  # or the new version sees both sides
        return sql.SQL("")
    return sql.SQL("""
    IF old_wrote = new_wrote THEN  -- the row does not tell which version wrote it, the writer's schemas do
      new_wrote := TG_ARGV[0] = 'new';
      old_wrote := NOT new_wrote;
    END IF;""")


def _by_statement(sides: Sides, pair: Pair) -> sql.Composable:
    number = sides.pairs.index(pair)
    if number not in emptied(sides):
        return sql.SQL("")
    return sql.SQL(" OR coalesce(TG_ARGV[0] = {}, false)").format(sql.Literal(f"new {number}"))


def _both_written(sides: Sides, pair: Pair, moment: Moment) -> sql.Composable:
    """Once the new version is alone, what it writes to both is its own affair."""
    if pair not in comparable(sides) or moment == "retired":
        return sql.SQL("")
    return sql.SQL("\n  ELSIF new_wrote AND old_wrote AND NOT ({}) THEN\n    failed := {};").format(
        pair_agrees(sides, pair, moment, "new"), sql.Literal(BOTH_WRITTEN)
    )


def _turned_block(sides: Sides, pair: Pair, moment: Moment) -> sql.Composable:
    """Only the new side is written: the hidden old side follows."""
    if not pair.down:
        return sql.SQL("  -- {title}: the old side does not follow").format(title=trusted(commented(pair.title)))
    if not pair.new:  # rows that exist keep the value old writers gave them
        names = sides.old_names(moment)
        return sql.SQL(
            """  -- {title}
  IF (TG_OP = 'INSERT' OR new.{marker} IS {unknown}) AND NOT ({given}) THEN
{down}
  END IF;"""
        ).format(
            title=trusted(commented(pair.title)),
            marker=sql.Identifier(sides.marker),
            unknown=sides.unknown,
            given=any_given(tuple(names.get(name, name) for name in pair.down)),
            down=_assign_down(sides, pair, moment),
        )
    return sql.SQL(
        """  -- {title}
  IF TG_OP = 'INSERT' OR new.{marker} IS NOT TRUE OR {changed} THEN
{down}
  END IF;"""
    ).format(
        title=trusted(commented(pair.title)),
        marker=sql.Identifier(sides.marker),
        changed=changed(sides.down_reads(pair, moment)),
        down=_assign_down(sides, pair, moment),
    )


def _assign_up(sides: Sides, pair: Pair, moment: Moment) -> sql.Composable:
    names = sides.new_names(moment)
    return _assign(
        pair,
        [(names.get(column, column), sides.up(pair, column, "new", moment)) for column in pair.up],
        emptied=True,
    )


def _assign_down(sides: Sides, pair: Pair, moment: Moment) -> sql.Composable:
    names = sides.old_names(moment)
    return _assign(
        pair,
        [(names.get(column, column), sides.down(pair, column, "new", moment)) for column in pair.down],
        # Side by side the old column may be NOT NULL, and an old value is better than none.
        emptied=sides.turned(pair, moment),
    )


def _assign(pair: Pair, values: list[tuple[str, sql.Composable]], *, emptied: bool) -> sql.Composable:
    """Assignments; where they may fail, in a block that notes the failure and leaves the target empty or as it was."""
    assigned = [sql.SQL("new.{} := {};").format(sql.Identifier(column), value) for column, value in values]
    if pair.total:
        return sql.SQL("\n").join(sql.SQL("    {}").format(line) for line in assigned)
    left = [sql.SQL("new.{} := NULL;").format(sql.Identifier(column)) for column, _ in values if emptied]
    return sql.SQL(
        """    BEGIN
{assigned}
    EXCEPTION WHEN others THEN
      IF pg_catalog.left(SQLSTATE, 2) IN ({server}) THEN RAISE; END IF;
      failed := SQLSTATE;
{left}
    END;"""
    ).format(
        assigned=sql.SQL("\n").join(sql.SQL("      {}").format(line) for line in assigned),
        left=sql.SQL("\n").join(sql.SQL("      {}").format(line) for line in left),
        server=sql.SQL(", ").join(map(sql.Literal, _NOT_ABOUT_THE_VALUE)),
    )
