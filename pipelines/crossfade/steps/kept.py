"""What functions that keep two tables in step have in common: how they are declared, and what they note."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import LiteralString, Protocol

from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps.compose import Values, names
from crossfade.steps.conflicts import HELD
from crossfade.steps.plpgsql import commented, quoted, search_path

# In the queue of a unique index we do wait: for less than deadlock_timeout, so that nobody is ended for it.
SHORT: LiteralString = "SET lock_timeout TO '400ms'"
# Classes of SQLSTATE about the server: those stay errors.
SERVER = ("53", "57", "58", "XX")
# A row that somebody holds is asked for again and again: for a second of a transaction, however many rows it writes.
_TIMES, _PAUSE = 100, 0.01  # seconds
_WAITED = "crossfade.waited"
# There and back, and once more: by then triggers of the user's that bring values into a form have done so.
_PASSES = 4
_PASSED = "crossfade.passed"


class Kept(Protocol):
    """Two tables that are kept in step by a key."""

    @property
    def migration(self) -> str: ...

    @property
    def key_types(self) -> tuple[str, ...]: ...

    @property
    def shown(self) -> str:
        """The two tables, for people."""
        ...

    def own(self, purpose: str) -> str:
        """A name of ours."""
        ...

    def function(self, purpose: str) -> sql.Identifier:
        """The name of one of its functions."""
        ...


def key_arguments(kept: Kept) -> Values:
    return [sql.Identifier(f"_cf_key_{number}") for number in range(len(kept.key_types))]


def tries() -> sql.Composable:
    """An expression: how often a row may still be asked for once more in the transaction at hand."""
    waited = sql.SQL("nullif(pg_catalog.current_setting({}, true), '')::int").format(sql.Literal(_WAITED))
    return sql.SQL("(SELECT {} - coalesce({}, 0))").format(sql.Literal(_TIMES), waited)


def pause() -> sql.Composable:
    """A statement before a row is asked for once more."""
    return sql.SQL("PERFORM pg_catalog.pg_sleep({}), pg_catalog.set_config({}, ({} + 1 - {})::text, true);").format(
        sql.Literal(_PAUSE), sql.Literal(_WAITED), sql.Literal(_TIMES), tries()
    )


def passing_on(kept: Kept, key: sql.Composable) -> dict[str, sql.Composable]:
    """What ends the carrying of a row to and fro within a statement, where triggers of the user's on both sides change
    it each time: parts of a function with a variable `passed`.
    """
    setting = sql.Literal(_PASSED)
    this = sql.SQL("pg_catalog.hashtext({} || {}::text)::text").format(sql.Literal(kept.shown), key)
    so_far = sql.SQL("pg_catalog.string_to_array(passed, ' ')")
    put = sql.SQL("PERFORM pg_catalog.set_config({}, {}, true);")
    return {
        "passed": sql.SQL("coalesce(pg_catalog.current_setting({}, true), '')").format(setting),
        "is_endless": sql.SQL("pg_catalog.cardinality(pg_catalog.array_positions({}, {})) >= {}").format(
            so_far, this, sql.Literal(_PASSES)
        ),
        "begin": put.format(setting, sql.SQL("pg_catalog.concat_ws(' ', passed, {})").format(this)),
        "end": put.format(setting, sql.SQL("passed")),
    }


def keyed_function(
    kept: Kept,
    name: sql.Identifier,
    more: Iterable[LiteralString],
    returns: LiteralString,
    body: sql.Composable,
    settings: LiteralString = "",
    path: Iterable[str] = (),
) -> sql.Composable:
    """A function of a key.

    more: the other arguments. settings: beside the search_path. path: the schemas in that beside pg_catalog, where
    triggers of the user's that it fires look things up.
    """
    key = [
        sql.SQL("{} {}").format(argument, trusted(type_))
        for argument, type_ in zip(key_arguments(kept), kept.key_types, strict=True)
    ]
    arguments = sql.SQL(", ").join([*key, *map(sql.SQL, more)])
    return sql.SQL("CREATE OR REPLACE FUNCTION {}({}) RETURNS {} LANGUAGE plpgsql {} {} AS {}").format(
        name, arguments, sql.SQL(returns), search_path(path), sql.SQL(settings), quoted(body)
    )


def no_keyed_function(kept: Kept, name: sql.Identifier, more: Iterable[LiteralString]) -> sql.Composable:
    """more: the types of the other arguments."""
    types = sql.SQL(", ").join([*map(trusted, kept.key_types), *map(sql.SQL, more)])
    return sql.SQL("DROP FUNCTION IF EXISTS {}({})").format(name, types)


def trigger_function(
    kept: Kept, purpose: str, body: sql.Composable, variables: LiteralString = "", path: Iterable[str] = ()
) -> Iterator[sql.Composable]:
    """body: statements. variables: their declarations. path: as of a function of a key."""
    name = kept.function(purpose)
    whole = sql.SQL(
        """
-- Keeps {} in step while migration {} runs; its archive stage ends it.
DECLARE{}
BEGIN
{}
END
"""
    ).format(trusted(commented(kept.shown)), trusted(kept.migration), sql.SQL(variables), body)
    yield sql.SQL("CREATE OR REPLACE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER {} AS {}").format(
        name, search_path(path), quoted(whole)
    )
    # Not to be made the trigger of another table; that it is fired asks no right.
    yield sql.SQL("REVOKE EXECUTE ON FUNCTION {}() FROM PUBLIC").format(name)
    comment = f"crossfade: keeps {kept.shown} in step; migration {kept.migration}"
    yield sql.SQL("COMMENT ON FUNCTION {}() IS {}").format(name, sql.Literal(comment))


def no_trigger_function(kept: Kept, purpose: str) -> sql.Composable:
    return sql.SQL("DROP FUNCTION IF EXISTS {}()").format(kept.function(purpose))


def classes(codes: Iterable[str]) -> sql.Composable:
    """Classes of SQLSTATE, behind IN."""
    return sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Literal, codes)))


def server_failures() -> sql.Composable:
    """Classes of SQLSTATE that are never noted: about the server or the transaction, and not about the row."""
    return classes(("40", *SERVER))


def key_json(columns: Iterable[str], values: Values) -> sql.Composable:
    """The key as conflicts have it."""
    pairs = [sql.SQL("{}, {}").format(sql.Literal(name), value) for name, value in zip(columns, values, strict=True)]
    return sql.SQL("pg_catalog.jsonb_build_object({})").format(sql.SQL(", ").join(pairs))


def tried_at_commit(kept: Kept, notes: sql.Composable, which: sql.Composable) -> Iterator[sql.Composable]:
    """When who noted it commits, the other row may be free; or it is his own, and who held this one has let go.

    which: of what is noted, by `new`.
    """
    again = sql.Identifier(kept.own("again"))
    yield sql.SQL("DROP TRIGGER IF EXISTS {} ON {}").format(again, notes)
    yield sql.SQL(
        "CREATE CONSTRAINT TRIGGER {} AFTER INSERT ON {} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN ({})"
        " EXECUTE FUNCTION {}()"
    ).format(again, notes, which, kept.function("at_commit"))
    yield sql.SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}").format(notes, again)


def fresh_and_held() -> sql.Composable:
    """Of what is noted by `new`: a client wrote it just now, and somebody held the other row."""
    return sql.SQL("new.fresh AND new.sqlstate = {}").format(sql.Literal(HELD))


def settled_in_order(
    kept: Kept, notes: sql.Composable, key: Sequence[str], *more: sql.Composable, among: sql.Composable
) -> sql.Composable:
    """What is noted is carried in the order it was written, in which a value that a unique rule allows once goes from
    row to row.

    key: columns of the notes. more: arguments of the function behind them. among: which notes.
    """
    return sql.SQL(
        "SELECT {}({}) FROM (SELECT {key} FROM {} WHERE {} GROUP BY {key} ORDER BY pg_catalog.min(id)) AS noted"
    ).format(
        kept.function("settle"),
        sql.SQL(", ").join([names(key, of="noted"), *more]),
        notes,
        among,
        key=names(key),
    )


def none_noted(kept: Kept, notes: sql.Composable) -> sql.Composable:
    """A statement that fails while anything is noted in the table: as for a lock that is not free, where it passes."""
    body = sql.SQL(
        """
DECLARE
  noted text := (SELECT n.sqlstate FROM {} AS n LIMIT 1);
BEGIN
  IF noted IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = noted, MESSAGE = {};
  END IF;
END
"""
    ).format(notes, sql.Literal(f"what was written to one of {kept.shown} is not carried over to the other yet"))
    return sql.SQL("DO {}").format(quoted(body))
