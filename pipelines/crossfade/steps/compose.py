"""Composed SQL turned into the texts a step holds."""

from __future__ import annotations

from collections.abc import Iterable

from crossfade.composing import sql
from crossfade.steps.step import Lock, LockMode, Relation


def any_leaf() -> sql.Identifier:
    """Stands in a Walk's statements for the leaf table they run on; no user's name starts with _cf_."""
    return sql.Identifier("_cf_leaf")


def text(*statements: sql.Composable) -> tuple[str, ...]:
    """The statements as they will be sent, one text each."""
    return tuple(statement.as_string(None).strip() for statement in statements)


def per_leaf(statement: sql.Composable) -> str:
    """A statement over `any_leaf` as a psycopg.sql template with the one field `{leaf}`."""
    escaped = statement.as_string(None).strip().replace("{", "{{").replace("}", "}}")
    return escaped.replace(any_leaf().as_string(None), "{leaf}")


def table(relation: Relation) -> sql.Identifier:
    """The relation's qualified name."""
    return sql.Identifier(relation.schema_name, relation.name)


def names(columns: Iterable[str], *, of: str | None = None) -> sql.Composable:
    """Comma-separated quoted names, each behind `of.` when given."""
    return sql.SQL(", ").join(sql.Identifier(of, name) if of else sql.Identifier(name) for name in columns)


def lock(relation: Relation, mode: LockMode) -> tuple[Lock, ...]:
    return (Lock(relation=relation, mode=mode),)
