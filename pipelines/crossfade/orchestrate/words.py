"""A migration and its legs in words, for people who look at the graph."""

from __future__ import annotations

from crossfade.plan import Plan
from crossfade.report.outline import MEANING, outline
from crossfade.report.plan import plan_markdown
from crossfade.spec import Migration
from crossfade.steps.step import Leg


def description(migration: Migration, leg: Leg) -> str:
    """The migration in a plain sentence, since lists show no more; then what this leg of it does."""
    head = migration.head
    reason = f" {_sentence(head.why)}" if head.why else ""
    return f"{_sentence(head.title)}{reason}\n\n{str(leg).capitalize()}: {_sentence(MEANING[str(leg)])}"


def leg_markdown(plan: Plan, leg: Leg) -> str:
    """The leg's part of the plan as it was reviewed, with the numbers its steps have there."""
    heading = next(section.heading for section in outline(plan).sections if section.leg == leg)
    part = plan_markdown(plan).partition(f"\n## {heading}\n")[2]
    return part.partition("\n## ")[0].strip()


def _sentence(text: str) -> str:
    stripped = text.strip()
    return stripped if stripped.endswith((".", "!", "?")) else f"{stripped}."
