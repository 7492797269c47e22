"""crossfade compare: whether two tables have the same rows, and which differ."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from crossfade.cli.failure import end_in_order_on_sigterm
from crossfade.cli.project import AsJson, database_named, open_project
from crossfade.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crossfade.compare import Comparison, Kind, Side
    from crossfade.spec.fragment import Expression


def compare(
    ctx: typer.Context,
    a: Annotated[str, typer.Argument(metavar="A.TABLE", help="A database and a table.", show_default=False)],
    b: Annotated[str, typer.Argument(metavar="B.TABLE", help="The same of the other side.", show_default=False)],
    key: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="Tells rows apart; default: a key of the tables.", show_default=False),
    ] = None,
    column: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="Compare only these.", show_default=False)
    ] = None,
    skip: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="Leave these out.", show_default=False)
    ] = None,
    map_a: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=SQL", help="What stands for a column in A.TABLE.", show_default=False),
    ] = None,
    map_b: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=SQL", help="What stands for a column in B.TABLE.", show_default=False),
    ] = None,
    where_a: Annotated[
        str | None, typer.Option(metavar="SQL", help="Which rows of A.TABLE.", show_default=False)
    ] = None,
    where_b: Annotated[
        str | None, typer.Option(metavar="SQL", help="Which rows of B.TABLE.", show_default=False)
    ] = None,
    most: Annotated[int, typer.Option(metavar="N", min=0, help="Look for so many differing keys; 0: for none.")] = 100,
    keys: Annotated[bool, typer.Option(help="Show the keys of rows that differ: they are values of your data.")] = True,
    settle: Annotated[
        str, typer.Option(metavar="DURATION", help="How long a row that differs may take to agree.")
    ] = "0s",
    blocks: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Read so many blocks a statement, and rest as long as each took.",
            show_default=False,
        ),
    ] = None,
    timeout: Annotated[str, typer.Option(metavar="DURATION", help="For any one statement on a server.")] = "10m",
    as_json: AsJson = False,
) -> None:
    """Compare two tables, of two databases or of one, by checksums that the servers compute.

    Rows are compared by the texts of their values. Exit codes: 0 the same; 1 they differ, or a server did not answer; 2
    they cannot be compared so. A key of columns that databases.yaml calls personal is never shown.
    """
    from crossfade.compare import Question
    from crossfade.compare import compare as compare_tables
    from crossfade.execute import reading

    end_in_order_on_sigterm()
    project = open_project(ctx)
    question = Question(
        a=_side(a, map_a or [], where_a, "a"),
        b=_side(b, map_b or [], where_b, "b"),
        columns=tuple(column or ()),
        skip=tuple(skip or ()),
        key=tuple(key or ()),
        most=most,
        settle=_duration("--settle", settle),
        blocks=blocks,
        statement_timeout=_duration("--timeout", timeout),
    )
    for side in (question.a, question.b):
        database_named(project, side.database)
    found = compare_tables(question, lambda name: reading(project.databases[name], "crossfade compare"))
    personal = any(
        project.databases[database].is_personal(table.schema, table.name, column)
        for database, table, column in found.key_of
    )
    keys = keys and not personal
    if as_json:
        typer.echo(json.dumps(found.told(keys=keys), indent=2, ensure_ascii=False))
    else:
        _print(found, keys=keys)
    if not found.equal:
        raise typer.Exit(1)


def _print(found: Comparison, *, keys: bool) -> None:
    for note in found.notes:
        typer.echo(f"note: {note}")
    for difference in found.differences if keys else ():
        key = ", ".join(
            f"{name} {'is NULL' if value is None else f'= {value}'}"
            for name, value in zip(found.key, difference.key, strict=True)
        )
        typer.echo(f"{_said(difference.kind, found)}: {key}")
    if found.more and found.differences:
        typer.echo("there are more: --most says how many are looked for")
    typer.echo(f"{found.a} and {found.b}: {found.verdict}")


def _said(kind: Kind, found: Comparison) -> str:
    match kind:
        case "differs":
            return "differs"
        case "missing_in_a":
            return f"missing in {found.a}"
        case "missing_in_b":
            return f"missing in {found.b}"


def _side(text: str, values: Sequence[str], where: str | None, letter: str) -> Side:
    from crossfade.compare import Side, read_place

    try:
        database, relation = read_place(text)
    except ValueError as error:
        raise UsageError(f"{text}: {error}") from None
    mapped: dict[str, Expression] = {}
    for each in values:
        name, equals, expression = each.partition("=")
        if not equals:
            raise UsageError(f"--map-{letter} {each}: a column and its SQL are wanted", fix="write COLUMN=SQL")
        mapped[name.strip()] = _expression(f"--map-{letter}", expression)
    return Side(database, relation, mapped, None if where is None else _expression(f"--where-{letter}", where))


def _expression(option: str, text: str) -> Expression:
    from crossfade.spec.fragment import Expression, FragmentError

    try:
        return Expression(text)
    except FragmentError as error:
        raise UsageError(f"{option} {text}: {error}", fix="write one SQL expression over the row") from None


def _duration(option: str, text: str) -> timedelta:
    from crossfade.spec.values import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option} {text}: {error}") from None
