"""SQL fragments: what is one expression, what it reads, how it is rewritten."""

from __future__ import annotations

import pickle

import pytest
from pydantic import TypeAdapter, ValidationError

from crossfade.spec import Expression, FragmentError


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        ("lower(email) foo", 13, 'syntax error at or near "foo"'),
        ("'ü' FORM x", 4, 'syntax error at or near "FORM"'),
        ("lower(email", 11, "it ends too early"),
        ("email +", 7, "it ends too early"),
        ("-- only a comment", 17, "it ends too early"),
        ("lower(email))", 12, "it closes a parenthesis that it did not open"),
        ("'open", 0, 'unterminated quoted string at or near "\'open"'),
        ("email; DROP TABLE users", 5, 'syntax error at or near ";"'),
        ("email AS alias", 6, 'syntax error at or near "AS"'),
        ("a, b", None, "a fragment is one value, not a row of several"),
        ("a) FROM t WHERE (b", None, "a fragment is one expression, not a statement or a part of one"),
        ("a) GROUP BY (b", None, "a fragment is one expression, not a statement or a part of one"),
        ("a) UNION SELECT (b", None, "a fragment is one expression, not a statement or a part of one"),
        ("'ü' || $1", 7, "a fragment has no parameters"),
        ("DEFAULT", 0, "DEFAULT is no value here"),
        ("", 0, "it ends too early"),
    ],
)
def test_anything_but_one_expression_is_refused_where_it_is_wrong(text: str, offset: int | None, message: str) -> None:
    with pytest.raises(FragmentError) as caught:
        Expression(text)

    assert str(caught.value).removeprefix("not a SQL expression: ") == message
    assert caught.value.offset == offset


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("lower(email) || users.name", {"email", "name"}),
        ('"Name" || other.name', {"Name"}),
        ("(SELECT max(total) FROM orders WHERE orders.user_id = users.id)", {"id"}),
        ("(SELECT max(users.id) FROM users)", set[str]()),
        ("(SELECT 1 FROM people AS users WHERE users.id = 1)", set[str]()),
        ("(SELECT 1 FROM a JOIN users ON users.id = a.id) + id", {"id"}),
        ("(SELECT 1 FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.id = users.id))", {"id"}),
        ("'email'", set[str]()),
    ],
)
def test_it_knows_which_columns_of_its_table_it_reads(text: str, columns: set[str]) -> None:
    assert Expression(text).columns("users") == columns


def test_its_columns_get_the_names_of_the_moment_and_nothing_else_does() -> None:
    expression = Expression("coalesce(email, 'email') || (SELECT email FROM other WHERE other.id = users.id)")

    rendered = expression.render("users", "new", {"email": "_cf_7_email"})

    assert rendered.as_string() == (
        "(COALESCE(new._cf_7_email, 'email') || (SELECT email FROM other WHERE other.id = new.id))"
    )


def test_rendering_leaves_the_expression_as_it_was() -> None:
    expression = Expression("email")

    expression.render("users", "new", {"email": "other"})

    assert expression.render("users", "t").as_string() == "(t.email)"


def test_a_name_that_needs_quotes_is_quoted() -> None:
    assert Expression("email").render("users", "t", {"email": 'a"b C'}).as_string() == '(t."a""b C")'


def test_it_knows_the_functions_it_calls() -> None:
    assert Expression("lower(pg_catalog.btrim(x))").functions == {("lower",), ("pg_catalog", "btrim")}


def test_it_knows_what_syntax_it_is_made_of() -> None:
    assert Expression("lower(a) || 'x'").nodes == {"A_Expr ||", "FuncCall", "ColumnRef", "A_Const"}
    assert Expression("a = ANY (b)").nodes == {"AEXPR_OP_ANY =", "ColumnRef"}
    assert Expression("current_date").nodes == {"SQLValueFunction"}


def test_it_knows_all_its_references() -> None:
    assert Expression("a + t.b + t.*").references == {("a",), ("t", "b"), ("t", "*")}


@pytest.mark.parametrize(
    ("text", "column"), [("email", "email"), ('"E"', "E"), ("t.email", None), ("lower(email)", None)]
)
def test_a_bare_column_is_known_as_one(text: str, column: str | None) -> None:
    assert Expression(text).is_column == column


@pytest.mark.parametrize(
    ("text", "constant"),
    [("5", True), ("-5", True), ("'a'::text::citext", True), ("now()", False), ("a", False)],
)
def test_a_constant_is_a_literal_maybe_cast(text: str, constant: bool) -> None:
    assert Expression(text).is_constant is constant


@pytest.mark.parametrize(("value", "text"), [(5, "5"), (True, "true"), (0.5, "0.5"), (" a ", "a")])
def test_yaml_scalars_are_expressions_too(value: object, text: str) -> None:
    assert TypeAdapter(Expression).validate_python(value) == Expression(text)


@pytest.mark.parametrize("value", [None, "", "  ", [], {}, float("inf")])
def test_no_other_value_is_an_expression(value: object) -> None:
    with pytest.raises(ValidationError, match="a SQL expression is text that is not empty"):
        TypeAdapter(Expression).validate_python(value)


def test_it_compares_by_its_text_and_survives_pickling() -> None:
    expression = Expression("lower(email)")

    assert pickle.loads(pickle.dumps(expression)) == expression
    assert len({expression, Expression(" lower(email) ")}) == 1
