"""A migration and its legs in words, for people who look at the graph."""

from __future__ import annotations

from crossfade.report.outline import MEANING
from crossfade.spec import Migration
from crossfade.steps.step import Leg


def description(migration: Migration, leg: Leg) -> str:
    """What this leg does in a plain sentence, since lists show no more; then why there is such a migration."""
    head, meaning = migration.head, MEANING[str(leg)]
    reason = f" {_sentence(head.why)}" if head.why else ""
    return f"{_sentence(meaning[0].upper() + meaning[1:])}\n\n{_sentence(head.title)}{reason}"


def _sentence(text: str) -> str:
    stripped = text.strip()
    return stripped if stripped.endswith((".", "!", "?")) else f"{stripped}."
