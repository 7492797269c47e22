"""A migration and its legs in words, for people who look at the graph."""

from __future__ import annotations

from crossfade.report.outline import MEANING
from crossfade.spec import Migration
from crossfade.steps.step import Leg


def description(migration: Migration, leg: Leg) -> str:
    """The migration in a plain sentence, since lists show no more; then what this leg of it does."""
    head = migration.head
    reason = f" {_sentence(head.why)}" if head.why else ""
    return f"{_sentence(head.title)}{reason}\n\n{str(leg).capitalize()}: {_sentence(MEANING[str(leg)])}"


def _sentence(text: str) -> str:
    stripped = text.strip()
    return stripped if stripped.endswith((".", "!", "?")) else f"{stripped}."
