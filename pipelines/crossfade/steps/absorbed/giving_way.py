"""Unique rules of the kept table do not bind it to what the other one holds before validate: until then a like gives
way to a row that is written there. It is noted as one that is not there, and its own row in conflict when who wrote
the other one commits.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from crossfade.catalog.model import Index
from crossfade.composing import sql
from crossfade.spec.fragment import Expression, trusted
from crossfade.steps.absorbed.tables import Absorbed
from crossfade.steps.compose import equal, lock, per_leaf, record, text
from crossfade.steps.conflicts import HELD
from crossfade.steps.definitions import key_texts, nulls_differ, predicate_text
from crossfade.steps.kept import pause, server_failures, tries
from crossfade.steps.plpgsql import commented, quoted, settings_of
from crossfade.steps.step import EXPAND, VALIDATE, Ddl, Leg

# Nobody is kept from setting them: he would be refused his own row, or his delete be found when both are compared.
_FILLS, _GIVES_WAY = "crossfade.fills", "crossfade.gives_way"


def begin(absorbed: Absorbed) -> Iterator[Ddl]:
    """From expand on."""
    if uniques(absorbed):
        yield _on(absorbed, EXPAND, "begin").model_copy(
            update={"undo": (_off(absorbed, EXPAND, "begin", "undo"),), "undo_title": "drop the trigger"}
        )


def end(absorbed: Absorbed) -> Iterator[Ddl]:
    """From here on the rules bind, whoever writes."""
    if uniques(absorbed):
        yield _off(absorbed, VALIDATE, "end").model_copy(
            update={"undo": (_on(absorbed, VALIDATE, "end", "undo"),), "undo_title": "let them give way again"}
        )


def asked_of_none() -> tuple[str, ...]:
    """Run before a batch of likes is made: to ask of each what it would take the place of would double their cost."""
    batch = sql.SQL("SELECT pg_catalog.set_config({}, 'on', true) WHERE $1::tid < $2::tid").format(sql.Literal(_FILLS))
    return (per_leaf(batch),)


def is_no_fill() -> sql.Composable:
    """Of a row that is inserted: it does not come in a batch of likes."""
    return _is_not_on(_FILLS)


def is_other() -> sql.Composable:
    """Of a row that is deleted: it does not give way."""
    return _is_not_on(_GIVES_WAY)


def _is_not_on(setting: str) -> sql.Composable:
    return sql.SQL("pg_catalog.current_setting({}, true) IS DISTINCT FROM 'on'").format(sql.Literal(setting))


def uniques(absorbed: Absorbed) -> list[Index]:
    """The unique indexes of the kept table over what likes get."""
    filled = set(absorbed.filled)
    return [i for i in absorbed.kept.indexes if i.unique and i.valid and not i.primary and i.reads & filled]


def _on(absorbed: Absorbed, leg: Leg, *more: str) -> Ddl:
    trigger, function = sql.Identifier(absorbed.own("give_way")), absorbed.function("give_way")
    body = sql.SQL(
        """
-- Lets rows of {kept} be written in the place of those that came from {table}; migration {migration}
DECLARE
  held {type};
BEGIN
{asked}
  RETURN new;
END
"""
    ).format(
        kept=trusted(commented(str(absorbed.kept.name))),
        table=trusted(commented(str(absorbed.table.name))),
        migration=trusted(absorbed.migration),
        type=trusted(absorbed.key.type),
        asked=sql.SQL("\n").join(_asked(absorbed, index) for index in uniques(absorbed)),
    )
    # The rules may have SQL of the table's own in them, which means what it means elsewhere.
    make = sql.SQL("CREATE OR REPLACE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER {} AS {}").format(
        function, settings_of(absorbed.search_path), quoted(body)
    )
    fire = sql.SQL(
        "CREATE OR REPLACE TRIGGER {} BEFORE INSERT OR UPDATE ON {} FOR EACH ROW WHEN ({}) EXECUTE FUNCTION {}()"
    )
    said = f"crossfade: lets likes of {absorbed.table.name} give way; migration {absorbed.migration}"
    return Ddl(
        id=absorbed.id("give way", *more),
        leg=leg,
        database=absorbed.database,
        title=f"let rows of {absorbed.table.name} in {absorbed.kept.name} give way to others (trigger)",
        locks=lock(absorbed.right, "SHARE ROW EXCLUSIVE"),
        statements=text(
            make,
            sql.SQL("REVOKE EXECUTE ON FUNCTION {}() FROM PUBLIC").format(function),
            sql.SQL("COMMENT ON FUNCTION {}() IS {}").format(function, sql.Literal(said)),
            fire.format(trigger, absorbed.kept_sql, is_no_fill(), function),
            sql.SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}").format(absorbed.kept_sql, trigger),
        ),
    )


def _off(absorbed: Absorbed, leg: Leg, *more: str) -> Ddl:
    on = partial(Ddl, leg=leg, database=absorbed.database)
    return on(
        id=absorbed.id("give way", *more),
        title=f"bind {absorbed.kept.name} to what is unique over the rows of both tables",
        locks=lock(absorbed.right, "ACCESS EXCLUSIVE"),
        statements=text(
            sql.SQL("DROP TRIGGER IF EXISTS {} ON {}").format(
                sql.Identifier(absorbed.own("give_way")), absorbed.kept_sql
            ),
            sql.SQL("DROP FUNCTION IF EXISTS {}()").format(absorbed.function("give_way")),
        ),
    )


def _asked(absorbed: Absorbed, index: Index) -> sql.Composable:
    """A like that has what the new row has, which is none itself, and which no row refers to yet."""
    bare, key = absorbed.kept.name.name, sql.Identifier(absorbed.key.name)
    distinct = nulls_differ(index)
    same = [
        _same(absorbed, column, *(Expression(each).render(bare, row) for row in ("t", "new")), distinct=distinct)
        for column, each in zip(index.columns, key_texts(index), strict=True)
    ]
    predicate = predicate_text(index)
    if predicate is not None:
        same += [Expression(predicate).render(bare, row) for row in ("t", "new")]
    made = sql.Identifier(absorbed.made)
    new_key = sql.SQL("new.{}").format(key)
    return sql.SQL(
        """  -- {name}
  held := NULL;
  IF TG_OP = 'INSERT' OR {changed} THEN
    SELECT t.{key} INTO held FROM {kept} AS t JOIN {rows} AS s ON {is_like} AND s.{made}
     WHERE {same} AND NOT EXISTS (SELECT FROM {rows} AS s WHERE {is_new});
    FOR attempt IN 1 .. CASE WHEN held IS NULL THEN 0 ELSE greatest({tries}, 1) END LOOP
      PERFORM FROM {kept} AS k WHERE {k_held} AND NOT {referred} FOR UPDATE SKIP LOCKED;
      IF FOUND AND NOT EXISTS (SELECT FROM {notes} AS b WHERE {b_held}) THEN
        BEGIN
          PERFORM pg_catalog.set_config({gives_way}, 'on', true);
          DELETE FROM {kept} AS k WHERE {k_held};
          PERFORM pg_catalog.set_config({gives_way}, '', true);
          INSERT INTO {notes} (key, side, told, fresh, sqlstate) VALUES (held, 'left', {all}, true, {locked});
          PERFORM crossfade.note_conflict({migration}, {relation}, {json}, {locked});
        EXCEPTION WHEN others THEN
          IF pg_catalog.left(SQLSTATE, 2) IN {server} THEN RAISE; END IF;
        END;
        EXIT;
      END IF;
      EXIT WHEN EXISTS (SELECT FROM {kept} AS k WHERE {k_held} AND {referred});
      {pause}
    END LOOP;
  END IF;"""
    ).format(
        name=trusted(commented(index.name)),
        changed=sql.SQL("{} *<> {}").format(record(sorted(index.reads), "new"), record(sorted(index.reads), "old")),
        key=key,
        kept=absorbed.kept_sql,
        rows=absorbed.rows,
        is_like=absorbed.is_like("s", "t"),
        made=made,
        same=sql.SQL(" AND ").join(same),
        is_new=absorbed.is_row("s", new_key),
        k_held=absorbed.has_key("k", sql.SQL("held")),
        b_held=equal(absorbed.key.type, sql.SQL("b.key"), sql.SQL("held")),
        referred=absorbed.referred,
        tries=tries(),
        pause=pause(),
        notes=absorbed.notes,
        migration=sql.Literal(absorbed.migration),
        gives_way=sql.Literal(_GIVES_WAY),
        all=absorbed.all_columns,
        locked=sql.Literal(HELD),
        relation=sql.Literal(absorbed.told_of("left")),
        json=absorbed.note_json(sql.SQL("held")),
        server=server_failures(),
    )


def _same(
    absorbed: Absorbed, column: str, one: sql.Composable, other: sql.Composable, *, distinct: bool
) -> sql.Composable:
    """What the rule takes for one value; column: "" where it is of an expression. distinct: NULL equals nothing."""
    found = absorbed.kept.by_name.get(column)
    same = equal(found.type, one, other) if found is not None else sql.SQL("{} = {}").format(one, other)
    if distinct:
        return same
    return sql.SQL("({} OR ({} IS NULL AND {} IS NULL))").format(same, one, other)
