"""What a benchmark finds: medians, and their ratio to a baseline measured in the same call."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

Better = Literal["higher", "lower"]


@dataclass(frozen=True)
class Way:
    """One way to do the work of a group.

    runs: what each run measured, in the group's unit. target: of the ratio to the baseline, or, in a group without
    one, of the median itself.
    """

    name: str
    runs: tuple[float, ...]
    target: float | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.runs)


@dataclass(frozen=True)
class Group:
    """Ways measured in turns in one call; the first is the baseline, unless the group has none.

    better: whether a target is the least or the most that is good.
    """

    title: str
    unit: str
    ways: tuple[Way, ...]
    better: Better = "higher"
    compared: bool = True
    notes: dict[str, Any] = field(default_factory=dict[str, Any])

    def ratio(self, way: Way) -> float:
        return way.median / self.ways[0].median

    def met(self, way: Way) -> bool | None:
        """Whether the target is met; None where there is none."""
        if way.target is None:
            return None
        found = self.ratio(way) if self.compared else way.median
        return found >= way.target if self.better == "higher" else found <= way.target

    def as_json(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "unit": self.unit,
            "better": self.better,
            "ways": [
                {
                    "name": way.name,
                    "runs": way.runs,
                    "median": way.median,
                    "ratio": self.ratio(way) if self.compared else None,
                    "target": way.target,
                    "met": self.met(way),
                }
                for way in self.ways
            ],
            "notes": self.notes,
        }


def percentile(values: Iterable[float], share: float) -> float:
    """The value that `share` (0 to 1) of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def said(value: float) -> str:
    """A figure with as many digits as one reads."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
