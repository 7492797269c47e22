"""Composed SQL turned into the texts a step holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from crossfade.catalog.model import Name
from crossfade.composing import sql
from crossfade.steps.step import Lock, LockMode, Relation

Values: TypeAlias = "list[sql.Composable]"


def any_leaf() -> sql.Identifier:
    """Stands in a Walk's statements for the leaf table they run on; no user's name starts with _cf_."""
    return sql.Identifier("_cf_leaf")


def in_batch(row: str) -> sql.Composable:
    """The row, by its alias, is in the range, $1 to $2, that a Walk's statement is given."""
    return sql.SQL("{row}.ctid >= $1::tid AND {row}.ctid < $2::tid").format(row=sql.Identifier(row))


def chunk_bounds() -> tuple[sql.Identifier, sql.Identifier]:
    """Stand in a Copying's chunk for its half-open range of tids: COPY takes no parameters."""
    return sql.Identifier("_cf_first"), sql.Identifier("_cf_last")


def captured_upto() -> sql.Identifier:
    """Stands in a Copying's queries for the last captured write that they look at."""
    return sql.Identifier("_cf_upto")


def given_values() -> sql.Identifier:
    """Stands in a Walk's batch for the values that its function gave."""
    return sql.Identifier("_cf_given")


def ours(row: str) -> sql.Composable:
    """The row was locked FOR UPDATE, or written, earlier in this transaction: nobody else can lock it beside that."""
    # In a CASE: a bare equality the planner takes for one row, and then loops over whole tables for each there is.
    asked = "CASE WHEN pg_catalog.pg_current_xact_id()::pg_catalog.xid IN ({r}.xmin, {r}.xmax) THEN true ELSE false END"
    return sql.SQL(asked).format(r=sql.Identifier(row))


def text(*statements: sql.Composable) -> tuple[str, ...]:
    """The statements as they will be sent, one text each."""
    return tuple(statement.as_string(None).strip() for statement in statements)


def per_leaf(statement: sql.Composable) -> str:
    """A statement over `any_leaf`, and maybe `given_values`, as a psycopg.sql template with fields for these."""
    escaped = statement.as_string(None).strip().replace("{", "{{").replace("}", "}}")
    filled = escaped.replace(given_values().as_string(None), "{given}")
    return filled.replace(any_leaf().as_string(None), "{leaf}")


def for_copying(query: sql.Composable) -> str:
    """A query of a Copying as a psycopg.sql template, with fields for its leaf and bounds."""
    first, last = chunk_bounds()
    template = per_leaf(query)
    for stand_in, field in ((first, "{first}"), (last, "{last}"), (captured_upto(), "{upto}")):
        template = template.replace(stand_in.as_string(None), field)
    return template


def table(relation: Relation) -> sql.Identifier:
    """The relation's qualified name."""
    return sql.Identifier(relation.schema_name, relation.name)


def relation(name: Name) -> Relation:
    """The table of that name, as steps have it."""
    return Relation(schema_name=name.schema, name=name.name)


def identifier(name: Name) -> sql.Identifier:
    """The qualified name of something as the catalog names it."""
    return sql.Identifier(name.schema, name.name)


def alter_column(table: Name, column: str, clause: sql.Composable) -> sql.Composable:
    """ALTER TABLE ... ALTER COLUMN with what it shall do."""
    return sql.SQL("ALTER TABLE {} ALTER COLUMN {} {}").format(identifier(table), sql.Identifier(column), clause)


def names(columns: Iterable[str], *, of: str | None = None) -> sql.Composable:
    """Comma-separated quoted names, each behind `of.` when given."""
    return sql.SQL(", ").join(sql.Identifier(of, name) if of else sql.Identifier(name) for name in columns)


def lock(relation: Relation, mode: LockMode, *, alone: bool = False) -> tuple[Lock, ...]:
    """alone: of a partitioned table without its partitions."""
    return (Lock(relation=relation, mode=mode, alone=alone),)


def lock_parents(child: Relation, parents: Iterable[Relation], mode: LockMode) -> tuple[Lock, ...]:
    """Of foreign keys that come or, in ACCESS EXCLUSIVE, go: the parents have triggers for them. Not `child` itself."""
    goes = mode == "ACCESS EXCLUSIVE"
    others = [parent for parent in dict.fromkeys(parents) if parent != child]
    return tuple(Lock(relation=parent, mode=mode, of_leaving_key=goes) for parent in others)


def key_text(key: Iterable[str], of: str) -> sql.Composable:
    """By which a row is known wherever it moves."""
    return sql.SQL("ROW({})::text").format(names(key, of=of))


def same_key(key: Iterable[str], types: Mapping[str, str], left: str, right: str) -> sql.Composable:
    """Both rows bear the same key.

    types: as the catalog prints them, those of pg_catalog without a schema: for these the operator is said, since a
    better match (for varchar, there is none of its own) may stand in a schema that others write. A type from elsewhere
    brings its own.
    """
    return sql.SQL(" AND ").join(
        equal(types[column], sql.Identifier(left, column), sql.Identifier(right, column)) for column in key
    )


def is_row(key: Iterable[str], types: Iterable[str], row: str, values: Values) -> sql.Composable:
    """The row bears these values in its key. types: of its columns, in their order."""
    return sql.SQL(" AND ").join(
        equal(type_, sql.Identifier(row, name), value) for name, type_, value in zip(key, types, values, strict=True)
    )


def record(columns: Iterable[str], row: str) -> sql.Composable:
    """Columns of a row as one value whose bytes can be compared."""
    return sql.SQL("ROW({})::record").format(names(columns, of=row))


def equal(type_: str, left: sql.Composable, right: sql.Composable) -> sql.Composable:
    operator = sql.SQL("=" if "." in type_ else "OPERATOR(pg_catalog.=)")
    return sql.SQL("{} {} {}").format(left, operator, right)
