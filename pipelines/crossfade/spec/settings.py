"""crossfade.yaml: what holds for all migrations of a project; the file may be missing."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from pydantic import Field

from crossfade.errors import Problem
from crossfade.spec.calendar import Freeze
from crossfade.spec.databases import FILE as DATABASES_FILE
from crossfade.spec.document import read_document
from crossfade.spec.errors import SpecError, did_you_mean
from crossfade.spec.validation import validated
from crossfade.spec.values import SpecModel

FILE = "crossfade.yaml"


class Settings(SpecModel):
    """What a project says once, for all its migrations."""

    freezes: tuple[Freeze, ...] = Field(default=(), description="Days on which no phase or stage begins.")


def load_settings(path: Path, databases: Collection[str]) -> Settings:
    """The settings of a project; the defaults where there is no file. Raises SpecError with everything that is wrong.

    databases: the names that databases.yaml gives.
    """
    if not path.exists():
        return Settings()
    document = read_document(path)
    problems: list[Problem] = []
    settings = validated(Settings, document, (), problems, page="docs/language.md#project")
    for index, freeze in enumerate(settings.freezes if settings else ()):
        for place, name in enumerate(freeze.databases):
            if name not in databases:
                where = document.position(("freezes", index, "databases", place))
                why = f"databases are named in {DATABASES_FILE}"
                problems.append(
                    Problem(f"`{name}` is no database of this project", where, why, did_you_mean(name, databases))
                )
    if settings is None or problems:
        raise SpecError.sorted(problems)
    return settings
