"""What a person is told when a spec cannot be read: a refusal with places, and the name they meant."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches
from typing import Self

from crossfade.errors import CrossfadeError, Problem

# A list of known names is for choosing from; beyond this many it is for reading in the manual.
_LISTED = 24


class SpecError(CrossfadeError):
    """One or more files of the project do not say anything crossfade could do.

    migration: the id a broken migration spec gives, where at least that could be read.
    """

    migration: str | None = None

    @classmethod
    def sorted(cls, problems: Iterable[Problem]) -> Self:
        """One error with the problems in the order they stand in their files."""
        return cls.of(sorted(problems, key=_place))


def _place(problem: Problem) -> tuple[str, int, int]:
    where = problem.where
    return (str(where.file), where.line, where.column) if where else ("", 0, 0)


def nearest(name: str, known: Collection[str]) -> str | None:
    """The known name that `name` is probably a slip of, or None."""
    by_lower = {each.lower(): each for each in known}
    close = get_close_matches(name.lower(), by_lower, n=1)
    return by_lower[close[0]] if close else None


def did_you_mean(name: str, known: Collection[str]) -> str:
    """The advice for an unknown name: the nearest known one first, then what there is to choose from.

    A sequence is listed in its own order, any other collection by name.
    """
    ordered = known if isinstance(known, Sequence) else sorted(known)
    listed = ", ".join(ordered[:_LISTED]) + (", ..." if len(ordered) > _LISTED else "")
    choice = f"known here: {listed}" if known else "none is known here"
    guess = nearest(name, known)
    return f"did you mean `{guess}`? {choice}" if guess else choice
