"""Privileges of something that is made again: those it had, in their order, and none that it got by being made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from crossfade.catalog.grants import LETTERS, granted
from crossfade.composing import sql
from crossfade.spec.fragment import trusted

Grantable = Literal["TABLE", "ROUTINE"]

# ALTER DEFAULT PRIVILEGES may give to roles that nobody can tell before; REVOKE takes no list of them all.
_FROM_ALL = """DO $crossfade$
DECLARE who text;
BEGIN
  FOR who IN
    SELECT DISTINCT CASE given.grantee WHEN 0::oid THEN 'PUBLIC'
                    ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(given.grantee)) END
      FROM {catalog} AS made
      CROSS JOIN pg_catalog.aclexplode(coalesce(made.{acl}, pg_catalog.acldefault({letter}, made.{owner}))) AS given
     WHERE made.oid = {name}::{alias}::oid
  LOOP
    EXECUTE pg_catalog.format('REVOKE ALL ON {what} %s FROM %s', {name}, who);
  END LOOP;
END $crossfade$"""


def privileges_again(what: Grantable, name: sql.Composable, items: Iterable[str]) -> Iterator[sql.Composable]:
    """name: quoted and qualified; of a routine with its arguments' types. items: as the catalog has them."""
    of_table = what == "TABLE"
    yield sql.SQL(_FROM_ALL).format(
        catalog=sql.SQL("pg_class" if of_table else "pg_proc"),
        acl=sql.SQL("relacl" if of_table else "proacl"),
        owner=sql.SQL("relowner" if of_table else "proowner"),
        letter=sql.Literal("r" if of_table else "f"),
        alias=sql.SQL("regclass" if of_table else "regprocedure"),
        name=sql.Literal(name.as_string(None)),
        what=sql.SQL(what),
    )
    yield from grants(sql.SQL("{} {}").format(sql.SQL(what), name), items)


def grants(what: sql.Composable, items: Iterable[str], column: str | None = None) -> Iterator[sql.Composable]:
    """GRANT statements for access control items. column: where they are of one column."""
    of_column = sql.SQL(" ({})").format(sql.Identifier(column)) if column is not None else sql.SQL("")
    for given in granted(items, LETTERS):
        who = sql.Identifier(given.grantee) if given.grantee else sql.SQL("PUBLIC")
        named = (name for name in LETTERS if name in given.privileges)
        listed = sql.SQL(", ").join(sql.SQL("{}{}").format(trusted(name), of_column) for name in named)
        option = sql.SQL(" WITH GRANT OPTION" if given.grantable else "")
        yield sql.SQL("GRANT {} ON {} TO {}{}").format(listed, what, who, option)
