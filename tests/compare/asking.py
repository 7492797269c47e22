"""Two databases, and what comparing tables of theirs finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import psycopg
from tests.scene import Scene

from crossfade.compare import Comparison, Kind, Question, Side, compare
from crossfade.execute import reading
from crossfade.spec.fragment import Expression


class Compared:
    """The databases are named `a` and `b`; statements go to `a` unless told otherwise."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def sql(self, statement: str, database: str = "a") -> list[tuple[Any, ...]]:
        return self.scene.sql(statement, database)

    def both(self, statements: str) -> None:
        for database in ("a", "b"):
            self.sql(statements, database)

    def open(self, database: str) -> AbstractContextManager[psycopg.Connection[Any]]:
        return reading(self.scene.project().databases[database], "crossfade compare")

    def compare(
        self,
        a: str = "a.t",
        b: str = "b.t",
        *,
        map_a: Mapping[str, str] | None = None,
        map_b: Mapping[str, str] | None = None,
        where_a: str | None = None,
        where_b: str | None = None,
        rest: Callable[[float], None] = lambda _seconds: None,
        **more: Any,
    ) -> Comparison:
        question = Question(_side(a, map_a, where_a), _side(b, map_b, where_b))
        return compare(replace(question, **more), self.open, rest)

    def found(self, *arguments: Any, **more: Any) -> dict[tuple[str | None, ...], Kind]:
        """The differing keys with how they differ; fails when there are more."""
        comparison = self.compare(*arguments, **more)
        assert not comparison.more
        return {each.key: each.kind for each in comparison.differences}


def _side(place: str, values: Mapping[str, str] | None, where: str | None) -> Side:
    database, _, relation = place.partition(".")
    mapped = {column: Expression(text) for column, text in (values or {}).items()}
    return Side(database, relation, mapped, None if where is None else Expression(where))
