"""The page of what a migration's suites found, kept beside the project and named by the checks that ask them."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from dagster import MetadataValue, PathMetadataValue

from crossfade.orchestrate.standing import read_standing
from crossfade.report import suites_page
from crossfade.spec import Migration, Project

_FOLDER = Path(".crossfade") / "reports"


def suite_page(project: Project, migration: Migration) -> dict[str, MetadataValue]:
    """Write the page; gives its path as metadata, nothing where it cannot be kept.

    The ledger has all that it says, so `crossfade report` writes the same anywhere.
    """
    page = suites_page(migration.id, read_standing(project, migration).gates)
    path = project.root / _FOLDER / f"{migration.id}.html"
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Whole or not at all, for whoever looks meanwhile.
        written = path.with_suffix(f".{os.getpid()}.tmp")
        written.write_text(page, encoding="utf-8")
        written.replace(path)
        return {"suite report": PathMetadataValue(str(path))}
    return {}
