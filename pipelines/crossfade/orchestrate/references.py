"""Where an asset is written: the UI shows it beside the asset."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

from dagster import BetaWarning, CodeReferencesMetadataValue, LocalFileCodeReference, UrlCodeReference

from crossfade.errors import Position

# The dagster version is pinned; a line for each of our modules on every load would tell its user nothing.
warnings.filterwarnings("ignore", category=BetaWarning, module=__name__.replace(".", r"\."))


def code_references(places: Iterable[Position]) -> dict[str, CodeReferencesMetadataValue]:
    """Metadata of an asset that opens these places in an editor."""
    references: list[LocalFileCodeReference | UrlCodeReference] = [
        LocalFileCodeReference(
            file_path=str(where.file), line_number=where.line, label=f"{where.file.name}:{where.line}"
        )
        for where in places
    ]
    return {"dagster/code_references": CodeReferencesMetadataValue(code_references=references)}
