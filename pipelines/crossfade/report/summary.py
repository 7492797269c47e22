"""A plan in a few lines, for somebody who is asked whether to go on."""

from __future__ import annotations

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from crossfade.plan import Plan
from crossfade.report.measures import said_bytes, said_rows, said_seconds
from crossfade.report.outline import RISKS, STYLE_OF_RISK, outline


def print_summary(plan: Plan, leg: str | None, console: Console) -> None:
    """Print where a plan goes on, over which tables, and what a reviewer must know. leg: the next one."""
    view = outline(plan)
    ahead = [section for section in view.sections if section.leg.order >= _order(plan, leg)]
    console.print(Text.assemble((plan.migration, "bold"), f": {plan.title}"))
    path = " → ".join(str(section.leg) for section in ahead)
    seconds = sum(section.seconds for section in ahead)
    time = f", about {said_seconds(seconds)} of work" if seconds else ""
    lines = [Text(f"{path} on {', '.join(plan.databases)}{time}")]
    lines += [
        Text(f"{size.relation} in {size.database}: {said_bytes(size.bytes)}, rows: {said_rows(size.rows)}")
        for size in plan.sizes
    ]
    lines += [
        Text.assemble((hazard.risk, STYLE_OF_RISK[hazard.risk]), f" {hazard.what}")
        for hazard in sorted(plan.hazards, key=lambda hazard: -RISKS.index(hazard.risk))
        if hazard.risk != "note"
    ]
    for line in lines:
        console.print(Padding(line, (0, 0, 0, 2), expand=False))
    console.print(Padding(Text(f"more: crossfade plan {plan.migration}", style="dim"), (0, 0, 1, 2), expand=False))


def _order(plan: Plan, leg: str | None) -> tuple[int, int]:
    found = plan.leg(leg) if leg is not None else None
    return (found or plan.legs[0]).order
