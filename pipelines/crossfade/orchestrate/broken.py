"""A file that cannot be read is an asset that carries its problems, so that it takes no other migration with it."""

from collections.abc import Sequence
from pathlib import Path

from dagster import AssetKey, AssetsDefinition, Failure, asset

from crossfade.errors import Problem
from crossfade.orchestrate.keys import broken_key
from crossfade.orchestrate.references import code_references
from crossfade.spec import SpecError


def broken_asset(error: SpecError, root: Path) -> AssetsDefinition:
    """An asset whose description tells what is wrong and where, and which fails with the same words."""
    words = problems_in_words(error.problems, root)
    places = [problem.where for problem in error.problems if problem.where is not None]

    @asset(
        key=key_of(error, root),
        description=_described(error.problems, root),
        group_name="broken",
        kinds={"yaml"},
        metadata=code_references(places),
    )
    def broken() -> None:
        raise Failure(words, allow_retries=False)

    return broken


def key_of(error: SpecError, root: Path) -> AssetKey:
    """The asset of the file that the first problem stands in."""
    where = error.problems[0].where
    return broken_key(where.file, root) if where is not None else AssetKey(["broken", "project"])


def problems_in_words(problems: Sequence[Problem], root: Path) -> str:
    """Every problem with file, line and column; files as seen from the project's root."""
    return "\n".join(str(problem) for problem in problems).replace(f"{root}/", "")


def _described(problems: Sequence[Problem], root: Path) -> str:
    """In Markdown that wraps: an advice may list all known names. Lists show the first sentence only."""
    paragraphs = [f"This file cannot be read: {problems[0].what}."]
    for problem in problems:
        lines = [line.strip() for line in str(problem).removeprefix(f"{problem.where}: ").splitlines()]
        place = [f"**{problem.where}**"] if problem.where is not None else []
        paragraphs.append("  \n".join([*place, *lines]))
    return "\n\n".join(paragraphs).replace(f"{root}/", "")
