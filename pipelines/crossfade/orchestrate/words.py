"""A migration and its legs in words, for people who look at the graph."""

from __future__ import annotations

from crossfade.plan import Plan
from crossfade.report.outline import MEANING
from crossfade.report.plan import leg_markdown
from crossfade.spec import Migration
from crossfade.steps.step import Leg

_LONGEST = 3000  # characters of a plan: a page shows them all, and every load of the definitions sends them


def description(migration: Migration, leg: Leg, plan: Plan | None) -> str:
    """What this leg does in a plain sentence, since lists show no more; then why there is such a migration, and what
    its plan does here, in Markdown.

    plan: None where it has not started.
    """
    head, meaning = migration.head, MEANING[str(leg)]
    reason = f" {_sentence(head.why)}" if head.why else ""
    what = f"{_sentence(meaning[0].upper() + meaning[1:])}\n\n{_sentence(head.title)}{reason}"
    return f"{what}\n\n{_planned(plan, leg)}" if plan is not None else what


def _planned(plan: Plan, leg: Leg) -> str:
    found = plan.leg(str(leg))
    if found is None:
        return "Its plan has nothing to do here."
    said = leg_markdown(plan, found)
    if len(said) <= _LONGEST:
        return said
    whole_lines = said[:_LONGEST].rpartition("\n")[0]
    return f"{whole_lines}\n\nThere is more: `crossfade plan {plan.migration}`."


def _sentence(text: str) -> str:
    stripped = text.strip()
    return stripped if stripped.endswith((".", "!", "?")) else f"{stripped}."
