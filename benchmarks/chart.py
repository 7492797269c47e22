"""The picture of a benchmark run: one bar a way, grouped, in SVG that reads in light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from benchmarks.measured import Group, said

WIDTH, LABEL, BAR, GAP = 860, 250, 20, 6
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f } .title { font-weight: 600 } .note { fill: #57606a }
.bar { fill: #4078c0 } .base { fill: #8c959f } .missed { fill: #cf222e } .met { fill: #2da44e }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .note { fill: #9198a1 } }
"""


def draw(groups: Sequence[Group]) -> str:
    """Bars of the medians; each group has a scale of its own."""
    parts: list[str] = []
    y = 0
    for group in groups:
        y += 26
        parts.append(f'<text class="title" x="0" y="{y}">{escape(group.title)} ({escape(group.unit)})</text>')
        y += 8
        longest = max(way.median for way in group.ways) or 1.0
        for number, way in enumerate(group.ways):
            length = (WIDTH - LABEL - 200) * max(way.median, 0.0) / longest
            kind = {None: "base" if number == 0 else "bar", True: "met", False: "missed"}[group.met(way)]
            ratio = f"  × {group.ratio(way):.2f}" if group.compared and number else ""
            target = "" if way.target is None else f"  (target {way.target:g})"
            parts.append(f'<text x="{LABEL - 8}" y="{y + 15}" text-anchor="end">{escape(way.name)}</text>')
            parts.append(f'<rect class="{kind}" x="{LABEL}" y="{y}" width="{length:.1f}" height="{BAR}" rx="3"/>')
            parts.append(
                f'<text class="note" x="{LABEL + length + 8:.1f}" y="{y + 15}">{said(way.median)}{ratio}{target}</text>'
            )
            y += BAR + GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-10 0 {WIDTH + 20} {y + 10}" role="img">'
        f"<style>{STYLE}</style>{''.join(parts)}</svg>\n"
    )
