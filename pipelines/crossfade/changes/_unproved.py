"""Rows that break a check or a foreign key of the catalog's, counted before it is proved."""

from __future__ import annotations

from collections.abc import Iterator

from crossfade.catalog.model import Constraint, Table
from crossfade.changes._context import Context
from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps.compose import relation
from crossfade.steps.definitions import check_text
from crossfade.steps.references import ReferringKey
from crossfade.steps.rules import Place, ask
from crossfade.steps.step import Check


def ask_again(context: Context, place: Place, table: Table, found: Constraint, subject: str) -> Iterator[Check]:
    """Nothing of a foreign key whose parent the snapshot does not have: proving it tells then."""
    if found.kind == "check":
        offends = sql.SQL("({}) IS FALSE").format(trusted(check_text(found)))
        yield ask(place, subject, offends, f"rows that break the check {found.name}", alias=table.name.name)
    parent = context.catalog.tables.get(found.references) if found.references is not None else None
    if parent is not None:
        types = tuple(parent.by_name[column].type for column in found.referenced_columns)
        full = "MATCH FULL" in found.definition
        key = ReferringKey(found.columns, relation(parent.name), found.referenced_columns, types, "", full=full)
        words = f"rows of {table.name} ({', '.join(found.columns)}) without a row in {parent.name}"
        yield ask(place, subject, key.orphan, words, alias="c")
