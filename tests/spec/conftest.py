"""Ways to write a file, to load a spec, and to see what is wrong with one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from crossfade.errors import Problem
from crossfade.spec import Migration, SpecError, load_migration

from .vocabulary import CHANGES, GATES

Write = Callable[[str, str], Path]
Load = Callable[[str], Migration]
Refuse = Callable[[str], list[str]]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file below a fresh folder."""

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8", newline="")
        return path

    return write


@pytest.fixture
def load(write: Write) -> Load:
    """Load a spec from its text."""
    return lambda text: load_migration(write("spec.yaml", text), changes=CHANGES, gates=GATES)


@pytest.fixture
def refuse(load: Load) -> Refuse:
    """What is wrong with a spec: one text for each problem, beginning with its `line:column: `."""

    def refuse(text: str) -> list[str]:
        with pytest.raises(SpecError) as caught:
            load(text)
        return [placed(problem) for problem in caught.value.problems]

    return refuse


def placed(problem: Problem) -> str:
    """A problem as it is printed, without the path of its file."""
    return str(problem).removeprefix(f"{problem.where.file}:" if problem.where else "")
