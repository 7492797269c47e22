"""How the one key of a row is found by the other, wherever a row refers to it.

Functions look it up in a view over the table, for a view goes on meaning the same columns when these are hidden. They
run as the role that migrates: who may write a row that refers need have no right on the one that it refers to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from crossfade.catalog.model import Column
from crossfade.composing import sql
from crossfade.spec.fragment import Expression, trusted
from crossfade.steps.compose import equal, identifier
from crossfade.steps.conflicts import NOT_FILLED, open_conflicts
from crossfade.steps.mirror.tables import record
from crossfade.steps.plpgsql import commented, quoted
from crossfade.steps.rekey.tables import Referring, Rekeyed


def made(key: Rekeyed) -> Iterator[sql.Composable]:
    """Statements that make the view and the functions, of a table that others refer to."""
    if not key.children:
        return
    olds = sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(sql.Identifier(column.name), _old(number)) for number, column in enumerate(key.old)
    )
    yield sql.SQL("CREATE VIEW {} AS SELECT {} AS {}, {} FROM {}").format(
        _keys(key), sql.Identifier(key.column), _new(), olds, key.sql
    )
    given = [sql.SQL("${}").format(sql.Literal(number + 1)) for number in range(len(key.old))]
    same = sql.SQL(" AND ").join(
        equal(column.type, sql.SQL("v.{}").format(_old(number)), given[number]) for number, column in enumerate(key.old)
    )
    none = sql.SQL(
        """
  IF NOT FOUND THEN
    RAISE foreign_key_violation USING MESSAGE = 'there is no row of this key';
  END IF;"""
    )
    waits = sql.SQL(
        """
  IF answer IS NULL THEN
    RAISE SQLSTATE {} USING MESSAGE = 'the row has no new key yet';
  END IF;"""
    ).format(sql.Literal(NOT_FILLED))
    yield from _function(key, _to_new(key), _types(key), trusted(key.type), _new(), same, sql.Composed([none, waits]))
    none = sql.SQL("") if key.partial else none
    for number, column in enumerate(key.old):
        same = equal(key.type, sql.SQL("v.{}").format(_new()), sql.SQL("$1"))
        yield from _function(key, _to_old(key, number), [trusted(key.type)], _type(column), _old(number), same, none)


def dropped(key: Rekeyed) -> Iterator[sql.Composable]:
    if not key.children:
        return
    for number in range(len(key.old)):
        yield sql.SQL("DROP FUNCTION IF EXISTS {}({})").format(_to_old(key, number), trusted(key.type))
    yield sql.SQL("DROP FUNCTION IF EXISTS {}({})").format(_to_new(key), sql.SQL(", ").join(_types(key)))
    yield sql.SQL("DROP VIEW IF EXISTS {}").format(_keys(key))


def new_of(key: Rekeyed, child: Referring) -> Expression:
    """Over a row that refers by the old key: the new key of the row it refers to."""
    given = sql.SQL(", ").join(
        sql.SQL("{}::{}").format(sql.Identifier(name), _type(column))
        for name, column in zip(child.columns, key.old, strict=True)
    )
    return Expression(sql.SQL("{}({})").format(_to_new(key), given).as_string(None))


def old_of(key: Rekeyed, child: Referring, column: str) -> Expression:
    """Over a row that refers by the new key: what stands in one column of the old one."""
    function = _to_old(key, child.columns.index(column))
    return Expression(sql.SQL("{}({})").format(function, sql.Identifier(child.column)).as_string(None))


def follow(key: Rekeyed) -> Iterator[sql.Composable]:
    """Statements that let rows which refer follow an old key that is changed, once no foreign key does it."""
    for child in key.children:
        yield _view_of(key, child, "refers", child.columns)
    updates = [
        sql.SQL("  UPDATE {} AS c SET {} FROM {} AS k WHERE {} AND {};").format(
            _view(key, child, "refers"), _olds_of(key), _keys(key), _is_new(key), _same_new(key)
        )
        for child in key.children
    ]
    columns = tuple(column.name for column in key.old)
    changed = sql.SQL("{} *<> {}").format(record(columns, "new"), record(columns, "old"))
    yield from _trigger(key, "follow", sql.SQL("AFTER UPDATE"), sql.SQL("WHEN ({})").format(changed), updates)


def follow_no_more(key: Rekeyed) -> Iterator[sql.Composable]:
    yield from _no_trigger(key, "follow")
    for child in key.children:
        yield sql.SQL("DROP VIEW IF EXISTS {}").format(_view(key, child, "refers"))


def adopt(key: Rekeyed, *, retired: bool) -> Iterator[sql.Composable]:
    """Statements that map rows which came before the one they refer to, as soon as that comes.

    retired: the columns that go are hidden by now.
    """
    updates: list[sql.Composable] = []
    for child in key.late:
        marker = sql.SQL(", {} AS mapped").format(sql.Identifier(child.marker(key.migration)))
        yield _view_of(key, child, "late", child.hidden(key.migration) if retired else child.columns, marker)
        same_old = sql.SQL(" AND ").join(
            equal(column.type, sql.SQL("c.{}").format(_old(n)), sql.SQL("k.{}").format(_old(n)))
            for n, column in enumerate(key.old)
        )
        updates.append(
            sql.SQL(
                """  IF EXISTS ({open}) THEN
    UPDATE {view} AS c SET mapped = false FROM {keys} AS k
     WHERE {is_new} AND c.{new} IS NULL AND {same_old} AND c.mapped IS FALSE;
    UPDATE {view} AS c SET {olds} FROM {keys} AS k WHERE {is_new} AND {same_new} AND c.mapped IS FALSE;
  END IF;"""
            ).format(
                open=open_conflicts(key.migration, str(child.relation)),
                view=_view(key, child, "late"),
                keys=_keys(key),
                is_new=_is_new(key),
                new=_new(),
                same_old=same_old,
                olds=_olds_of(key),
                same_new=_same_new(key),
            )
        )
    yield from _trigger(key, "adopt", sql.SQL("AFTER INSERT"), sql.SQL(""), updates)


def adopt_no_more(key: Rekeyed) -> Iterator[sql.Composable]:
    yield from _no_trigger(key, "adopt")
    for child in key.late:
        yield sql.SQL("DROP VIEW IF EXISTS {}").format(_view(key, child, "late"))


def _view_of(
    key: Rekeyed, child: Referring, purpose: str, columns: Sequence[str], more: sql.Composable | None = None
) -> sql.Composable:
    """columns: those that refer by the old key, as they are called now."""
    olds = sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(sql.Identifier(name), _old(number)) for number, name in enumerate(columns)
    )
    return sql.SQL("CREATE OR REPLACE VIEW {} AS SELECT {} AS {}, {}{} FROM {}").format(
        _view(key, child, purpose),
        sql.Identifier(child.column),
        _new(),
        olds,
        more or sql.SQL(""),
        identifier(child.table.name),
    )


def _olds_of(key: Rekeyed) -> sql.Composable:
    return sql.SQL(", ").join(sql.SQL("{o} = k.{o}").format(o=_old(number)) for number in range(len(key.old)))


def _is_new(key: Rekeyed) -> sql.Composable:
    """`k` is the row for which a trigger fires."""
    return equal(key.type, sql.SQL("k.{}").format(_new()), sql.SQL("new.{}").format(sql.Identifier(key.column)))


def _same_new(key: Rekeyed) -> sql.Composable:
    return equal(key.type, sql.SQL("c.{}").format(_new()), sql.SQL("k.{}").format(_new()))


def _trigger(
    key: Rekeyed, purpose: str, event: sql.Composable, when: sql.Composable, acts: Sequence[sql.Composable]
) -> Iterator[sql.Composable]:
    function, trigger = sql.Identifier("crossfade", key.own(purpose)), sql.Identifier(key.own(purpose))
    body = sql.SQL("\n-- Keeps rows in step that refer to {}; migration {}\nBEGIN\n{}\n  RETURN NULL;\nEND\n").format(
        trusted(commented(str(key.table.name))), trusted(key.migration), sql.SQL("\n").join(acts)
    )
    yield sql.SQL("CREATE OR REPLACE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER {} AS {}").format(
        function, _path(key), quoted(body)
    )
    # Not to be made the trigger of another table; that it is fired asks no right.
    yield sql.SQL("REVOKE EXECUTE ON FUNCTION {}() FROM PUBLIC").format(function)
    yield sql.SQL("CREATE OR REPLACE TRIGGER {} {} ON {} FOR EACH ROW {} EXECUTE FUNCTION {}()").format(
        trigger, event, key.sql, when, function
    )
    yield sql.SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}").format(key.sql, trigger)


def _no_trigger(key: Rekeyed, purpose: str) -> Iterator[sql.Composable]:
    yield sql.SQL("DROP TRIGGER IF EXISTS {} ON {}").format(sql.Identifier(key.own(purpose)), key.sql)
    yield sql.SQL("DROP FUNCTION IF EXISTS {}()").format(sql.Identifier("crossfade", key.own(purpose)))


def _function(
    key: Rekeyed,
    name: sql.Identifier,
    types: list[sql.Composable],
    returns: sql.Composable,
    wanted: sql.Identifier,
    same: sql.Composable,
    asked: sql.Composable,
) -> Iterator[sql.Composable]:
    body = sql.SQL(
        """
-- Finds one key of a row of {table} by the other; migration {migration}
DECLARE answer {returns};
BEGIN
  SELECT v.{wanted} INTO answer FROM {keys} AS v WHERE {same};{asked}
  RETURN answer;
END
"""
    ).format(
        table=trusted(commented(str(key.table.name))),
        migration=trusted(key.migration),
        returns=returns,
        wanted=wanted,
        keys=_keys(key),
        same=same,
        asked=asked,
    )
    signature = sql.SQL("{}({})").format(name, sql.SQL(", ").join(types))
    yield sql.SQL(
        "CREATE OR REPLACE FUNCTION {} RETURNS {} LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER {} AS {}"
    ).format(signature, returns, _path(key), quoted(body))
    # Called by the sync triggers, hence by every writer.
    yield sql.SQL("GRANT EXECUTE ON FUNCTION {} TO PUBLIC").format(signature)


def _path(key: Rekeyed) -> sql.Composable:
    """The operators of a type from elsewhere are in its schema."""
    schemas = dict.fromkeys(("pg_catalog", *(column.type_name.schema for column in key.old), "pg_temp"))
    return sql.SQL("SET search_path TO {}").format(sql.SQL(", ").join(map(sql.Identifier, schemas)))


def _type(column: Column) -> sql.Composable:
    """Without what limits its length, which arguments do not have."""
    return identifier(column.type_name)


def _types(key: Rekeyed) -> list[sql.Composable]:
    return [_type(column) for column in key.old]


def _new() -> sql.Identifier:
    return sql.Identifier("new_key")


def _old(number: int) -> sql.Identifier:
    return sql.Identifier(f"old_{number}")


def _keys(key: Rekeyed) -> sql.Identifier:
    return sql.Identifier("crossfade", key.own("keys"))


def _view(key: Rekeyed, child: Referring, purpose: str) -> sql.Identifier:
    return sql.Identifier("crossfade", child.own(key.migration, purpose))


def _to_new(key: Rekeyed) -> sql.Identifier:
    return sql.Identifier("crossfade", key.own("to_new"))


def _to_old(key: Rekeyed, number: int) -> sql.Identifier:
    return sql.Identifier("crossfade", key.own(f"to_old_{number}"))
