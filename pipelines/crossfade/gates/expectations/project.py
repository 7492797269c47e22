"""The suites of a project, for `crossfade check`: what is wrong in them, and which specs name one in vain."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from crossfade.errors import Position, Problem
from crossfade.gates.expectations.suite import COMPARES, FOLDER, load_suite
from crossfade.spec.databases import FILE as DATABASES_FILE
from crossfade.spec.errors import SpecError, did_you_mean
from crossfade.spec.model import Migration


def checked_suites(root: Path, databases: Collection[str] | None = None) -> tuple[Problem, ...]:
    """What is wrong in the suites under `root`, in the order of their files; no database is needed.

    databases: the names databases.yaml gives; None leaves the suites' `database` unchecked.
    """
    problems: list[Problem] = []
    for path in _files(root):
        if path.suffix == ".yml":
            what = "the name of a suite's file ends in .yaml"
            problems.append(Problem(what, Position(path), "no gate would find it", "rename the file"))
            continue
        try:
            suite = load_suite(path)
        except SpecError as error:
            problems += error.problems
            continue
        named = [(suite.head.database, Position(path))]
        named += [(each.arguments["database"], each.where) for each in suite.expectations if each.name == COMPARES]
        problems += [
            Problem(
                f"`{database}` is no database of this project",
                where,
                f"databases are named in {DATABASES_FILE}",
                did_you_mean(database, databases),
            )
            for database, where in named
            if database is not None and databases is not None and database not in databases
        ]
    return tuple(problems)


def missing_suites(root: Path, migrations: Iterable[Migration]) -> tuple[Problem, ...]:
    """A problem for each gate of `migrations` that names a suite there is no file of."""
    known = {path.stem for path in _files(root) if path.suffix == ".yaml"}
    return tuple(
        Problem(
            f"there is no suite `{name}`",
            entry.where,
            f"a suite is a file in {FOLDER}/; without it the gate could not be asked",
            did_you_mean(name, known),
        )
        for migration in migrations
        for entries in migration.gates.values()
        for entry in entries
        if entry.kind == "suite" and (name := _named(entry.body)) not in known
    )


def _named(gate: object) -> str:
    # Its class is not imported, because it imports this.
    return str(getattr(gate, "suite", ""))


def _files(root: Path) -> list[Path]:
    return sorted(path for path in (root / FOLDER).glob("*.y*ml") if not path.name.startswith("."))
