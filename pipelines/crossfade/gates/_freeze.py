"""The freezes of crossfade.yaml: a gate that stands before every phase and stage, without a spec saying so."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

from crossfade.gates._gate import Answer, Gate, GateContext
from crossfade.spec.calendar import Freeze
from crossfade.spec.settings import Settings

FREEZE = "freeze"  # the gate's label


class FreezeGate(Gate):
    """Hold while none of the project's freezes is on."""

    @property
    def label(self) -> str:
        return FREEZE

    def ask(self, context: GateContext) -> Answer:
        freezes = binding(context)
        ends, last = context.now, None
        # One may begin before another one ends.
        for freeze in sorted(freezes, key=lambda freeze: freeze.span):
            if freeze.span.begin <= ends < freeze.span.end:
                ends, last = freeze.span.end, freeze
        evidence = stated(freezes)
        if last is None:
            return Answer("holds", "no freeze is on", evidence=evidence)
        why = f": {last.why}" if last.why else ""
        until = f"{ends.astimezone(ZoneInfo(last.timezone)):%a %Y-%m-%d %H:%M} {last.timezone}"
        return Answer("waits", f"frozen until {until}{why}", ends.astimezone(UTC), evidence)


def binding(context: GateContext) -> Sequence[Freeze]:
    """The freezes that are meant for the migration."""
    return [freeze for freeze in context.settings.freezes if freeze.binds(context.databases)]


def stated(freezes: Sequence[Freeze]) -> Mapping[str, Any]:
    """For an answer's evidence: by which freezes it was given, so that it counts no more when they are other ones."""
    return {"freezes": _names(freezes)} if freezes else {}


def rests_on_others(evidence: Mapping[str, Any], settings: Settings, databases: Collection[str]) -> bool:
    """An answer's evidence tells of freezes that are not those of the project now."""
    freezes = [freeze for freeze in settings.freezes if freeze.binds(databases)]
    return "freezes" in evidence and evidence["freezes"] != _names(freezes)


def _names(freezes: Sequence[Freeze]) -> list[str]:
    return sorted(f"{freeze.dates} {freeze.timezone}" for freeze in freezes)
