"""A change of the spec with what it comes to on its database."""

from __future__ import annotations

from dataclasses import dataclass

from crossfade.changes import Compiled
from crossfade.spec.model import Entry


@dataclass(frozen=True)
class CompiledChange:
    """A change where it stands in the spec, the database it is for, and its steps and pairs there."""

    entry: Entry
    database: str
    result: Compiled
