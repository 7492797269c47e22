"""Titles as readers type them."""

from __future__ import annotations

import unicodedata
from typing import Any


def fold(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The title in lower case, letters without their accents."""
    return [{"search_title": _folded(row["title"])} for row in rows]


def _folded(title: str) -> str:
    apart = unicodedata.normalize("NFKD", title.casefold())
    return "".join(letter for letter in apart if not unicodedata.combining(letter))
