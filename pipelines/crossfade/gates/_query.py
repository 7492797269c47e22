"""A query as a value of the language: one SELECT, parsed with PostgreSQL's grammar when it is read."""

from __future__ import annotations

from string import Formatter
from typing import Annotated

from pydantic import AfterValidator, Field


def check_query(text: str) -> str:
    """The query without a semicolon or comment after it; raises ValueError when it is not one SELECT.

    It may be VALUES or TABLE, or begin with WITH. That a function in it writes is the session's to refuse.
    """
    import postgast  # 50 ms, and most specs have no query

    try:
        statements = postgast.parse(text).stmts
    except postgast.PgQueryError as error:
        line = text.count("\n", 0, max(error.cursorpos - 1, 0)) + 1
        raise ValueError(f"not SQL: {error.message} in line {line} of the query") from None
    if len(statements) != 1:
        raise ValueError(f"one query is wanted here, found {len(statements)} statements")
    statement = statements[0]
    select = statement.stmt.select_stmt
    if not statement.stmt.HasField("select_stmt") or select.HasField("into_clause") or select.locking_clause:
        raise ValueError("only a query that reads may stand here: SELECT, VALUES or WITH ... SELECT")
    begin, length = statement.stmt_location, statement.stmt_len
    raw = text.encode()
    return raw[begin : begin + length if length else None].decode().strip()


def check_query_of_batch(text: str) -> str:
    """The same for a query that names the suite's rows as `{batch}`, as Great Expectations writes it."""
    try:
        fields = {field for _, field, _, _ in Formatter().parse(text) if field is not None}
    except ValueError:
        fields = {""}
    if not fields <= {"batch"}:
        raise ValueError("`{batch}` stands for the suite's rows; any other brace is written twice: {{ and }}")
    check_query(with_batch(text, "batch"))
    return text


def with_batch(text: str, name: str) -> str:
    """The query with `name` where it says `{batch}`."""
    return text.format(batch=name)


Query = Annotated[
    str,
    AfterValidator(check_query),
    Field(examples=["SELECT count(*) = 0 FROM users WHERE email IS NULL"]),
]
