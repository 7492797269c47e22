"""Every refusal and failure a user can meet: types with fields, turned into words in one place.

An error says what happened, where, why, and what to do. Rooms raise their own subclasses where the fact
is known; the command line and Dagster only print them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, order=True)
class Position:
    """A place in a file: lines and columns count from 1, as editors show them."""

    file: Path
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    what: the fact, one sentence without a full stop.
    where: the file position, or None when the fact is not about a file.
    why: what would go wrong otherwise, or the rule it breaks.
    fix: what to do about it.
    """

    what: str
    where: Position | None = None
    why: str | None = None
    fix: str | None = None

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        lines = [f"{place}{self.what}"]
        if self.why:
            lines.append(f"  why: {self.why}")
        if self.fix:
            lines.append(f"  fix: {self.fix}")
        return "\n".join(lines)


class CrossfadeError(Exception):
    """The root of all errors crossfade raises on purpose; carries one or more problems.

    sqlstate: of the server's error behind it, where there is one.
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        where: Position | None = None,
        why: str | None = None,
        fix: str | None = None,
        sqlstate: str | None = None,
    ) -> None:
        self.sqlstate = sqlstate
        self.problems: tuple[Problem, ...] = (Problem(what, where, why, fix),)
        super().__init__(str(self.problems[0]))

    @property
    def what(self) -> str:
        return self.problems[0].what

    @property
    def why(self) -> str | None:
        return self.problems[0].why

    @property
    def fix(self) -> str | None:
        return self.problems[0].fix

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)

    @classmethod
    def of(cls, problems: Iterable[Problem]) -> Self:
        """One error that carries several problems, in the order they stand in the files."""
        found = tuple(problems)
        first = found[0]
        error = cls(first.what, where=first.where, why=first.why, fix=first.fix)
        error.problems = found
        return error


class UsageError(CrossfadeError):
    """The command was called in a way that cannot mean anything (exit code 2)."""

    exit_code = 2
