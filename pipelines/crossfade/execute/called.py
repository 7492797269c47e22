"""A function of the project called over the rows of a batch: loaded as it was when planned, asked, its answer checked.

What it raises is told by its type and place alone: its words may hold values of rows.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import psycopg
from psycopg import sql
from psycopg.types.json import Json

from crossfade.execute.errors import ExecutionFailed, StepRefused
from crossfade.spec.fragment import trusted
from crossfade.spec.model import digest
from crossfade.steps.compose import table
from crossfade.steps.step import Function, Relation


class Called:
    """One function, loaded."""

    def __init__(self, root: Path, function: Function) -> None:
        self._of = function
        self._call = self._load(root / function.path)

    def values(self, cursor: psycopg.RawCursor[Any], leaf: Relation, first: str, last: str) -> sql.Composable | None:
        """Lock the rows in the range that are due and ask the function; gives a VALUES list, None without rows."""
        cursor.execute(trusted(self._of.rows).format(leaf=table(leaf)), (first, last))
        assert cursor.description is not None
        names = [column.name for column in cursor.description[1:]]
        found = cursor.fetchall()
        if not found:
            return None
        answers = self._ask([dict(zip(names, row[1:], strict=True)) for row in found])
        rows = [
            sql.SQL("({}::tid, {})").format(
                sql.Literal(tid),
                sql.SQL(", ").join(_written(answer[name], type_) for name, type_ in self._of.types.items()),
            )
            for (tid, *_), answer in zip(found, answers, strict=True)
        ]
        return sql.SQL("(VALUES {})").format(sql.SQL(", ").join(rows))

    def _ask(self, rows: list[dict[str, Any]]) -> Sequence[Mapping[str, Any]]:
        try:
            answers = self._call(rows)
        except Exception as error:
            raise self._failed("raised", error) from None
        if not isinstance(answers, list) or len(cast("list[object]", answers)) != len(rows):
            raise self._refused("gave no list of as many rows as it got")
        for answer in cast("list[object]", answers):
            if not isinstance(answer, dict) or set(cast("dict[object, object]", answer)) != set(self._of.types):
                raise self._refused(f"gave a row that is no dict of just {', '.join(self._of.types)}")
        return cast("list[dict[str, Any]]", answers)

    def _load(self, path: Path) -> Callable[[list[dict[str, Any]]], object]:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ExecutionFailed(
                f"{self._of.path} cannot be read: {type(error).__name__}", fix="put the file back as it was"
            ) from None
        if digest(text) != self._of.digest:
            raise StepRefused(
                f"{self._of.path} is another file than when the plan was made",
                why="rows would be set by a function that nobody has reviewed",
                fix="put the file back as it was; what shall be different goes into a new spec",
            )
        space: dict[str, Any] = {"__name__": "crossfade_function", "__file__": str(path)}
        try:
            exec(compile(text, self._of.path, "exec", dont_inherit=True), space)  # noqa: S102  it is what was reviewed
        except Exception as error:
            raise self._failed("cannot be loaded:", error) from None
        return space[self._of.name]

    def _failed(self, how: str, error: Exception) -> ExecutionFailed:
        lines = [at.lineno for at in traceback.extract_tb(error.__traceback__) if at.filename == self._of.path]
        place = f" in line {lines[-1]}" if lines else ""
        return ExecutionFailed(
            f"{self._of.name} of {self._of.path} {how} {type(error).__name__}{place}",
            why="nothing of this batch was written; what it says is not told, since it may hold values of rows",
            fix="mend the rows it stumbles over and run it again; or roll back, mend the function, and begin anew",
        )

    def _refused(self, what: str) -> ExecutionFailed:
        return ExecutionFailed(
            f"{self._of.name} of {self._of.path} {what}",
            why="nothing of this batch was written",
            fix="roll back, mend the function, and begin anew",
        )


def _written(value: object, type_: str) -> sql.Composable:
    if type_ in ("json", "jsonb") and value is not None:
        value = Json(value)
    return sql.SQL("CAST({} AS {})").format(sql.Literal(value), trusted(type_))
