"""The owner and the privileges of a table, for one that is made beside it."""

from __future__ import annotations

from collections.abc import Iterator

from crossfade.catalog.grants import LETTERS, granted
from crossfade.catalog.model import Table
from crossfade.composing import sql
from crossfade.spec.fragment import trusted


def like(table: Table, made: sql.Identifier, *, role: str) -> Iterator[sql.Composable]:
    """Statements that give `made` what `table` has. role: who makes it, and owns it until then."""
    for found in granted(table.grants, LETTERS):
        if found.grantee != table.owner:
            yield sql.SQL("GRANT {} ON {} TO {}{}").format(
                trusted(", ".join(sorted(found.privileges))),
                made,
                sql.Identifier(found.grantee) if found.grantee else sql.SQL("PUBLIC"),
                sql.SQL(" WITH GRANT OPTION" if found.grantable else ""),
            )
    if table.owner != role:
        yield sql.SQL("ALTER TABLE {} OWNER TO {}").format(made, sql.Identifier(table.owner))
