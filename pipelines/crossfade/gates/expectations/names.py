"""Tables and types as a suite names them."""

from __future__ import annotations

from crossfade.composing import sql
from crossfade.spec.values import LONGEST_NAME

_NO_TYPE = "a type is written as in SQL: bigint, varchar(20), timestamptz, text[]"


def check_table(name: str) -> str:
    """The name as it is; raises ValueError when it is not a table's name with or without its schema."""
    parts = name.split(".")
    if len(parts) > 2 or not all(0 < len(part.encode()) <= LONGEST_NAME for part in parts):
        raise ValueError("a table is written as in the database, without quotes: users, or schema.users")
    return name


def check_type(name: str) -> str:
    """The name as it is; raises ValueError when PostgreSQL would not read it as a type, e.g. varchar(20)."""
    import postgast  # 50 ms, and few suites name a type

    try:
        (statement,) = postgast.parse(f"SELECT NULL::{name}\n").stmts
        (target,) = statement.stmt.select_stmt.target_list
    except (postgast.PgQueryError, ValueError):
        raise ValueError(_NO_TYPE) from None
    # Nothing but the cast: `int AS x` and `int LIMIT 1` are parsed too.
    parts = {field.name for field, _ in statement.stmt.select_stmt.ListFields()}
    value = target.res_target
    if parts != {"target_list", "limit_option", "op"} or value.name or not value.val.type_cast.arg.HasField("a_const"):
        raise ValueError(_NO_TYPE)
    return name


def relation(name: str, schema: str | None = None) -> sql.Identifier:
    """The table quoted, in its own schema, else in `schema`, else where the search path has it."""
    own_schema, _, table = name.rpartition(".")
    return sql.Identifier(*(part for part in (own_schema or schema, table) if part))
