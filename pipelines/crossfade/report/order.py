"""In which order a migration's legs, the deployments of services and flags come: as a list, and drawn by Mermaid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from packaging.version import Version

from crossfade.gates.flag import FlagGate
from crossfade.plan import Plan, PlannedApplication, gate_of
from crossfade.report.outline import MEANING

_OUTLINES = {"leg": ("[", "]"), "deploy": ("([", "])"), "use": ("([", "])"), "flag": ("{{", "}}")}
_WRITES, _READS, _WITHOUT = "writes the new shape", "reads the new shape", "does without the old one"


@dataclass(frozen=True)
class Event:
    """Something to be done: by crossfade (`leg`), or by people.

    after: ids of what is done before it. before: legs that wait for it, by name. at: where a list has it, counted in
    legs.
    """

    id: str
    kind: Literal["leg", "deploy", "use", "flag"]
    title: str
    at: float
    after: tuple[str, ...] = ()
    before: tuple[str, ...] = ()


def deploy_order(plan: Plan) -> tuple[Event, ...]:
    """All that is to be done, each after what it waits for."""
    people = [*_flags(plan)]
    for number, application in enumerate(plan.applications, 1):
        people += _of_service(plan, application, f"service{number}")
    return tuple(sorted((*_legs(plan, people), *people), key=lambda event: event.at))


def mermaid(plan: Plan) -> str:
    """The order as a flowchart in Mermaid's language."""
    order = deploy_order(plan)
    boxes = [f'  {e.id}{_OUTLINES[e.kind][0]}"{_escaped(e.title)}"{_OUTLINES[e.kind][1]}' for e in order]
    arrows = [f"  {before} --> {event.id}" for event in order for before in event.after]
    return "\n".join(["flowchart TD", *boxes, *arrows]) + "\n"


def _escaped(text: str) -> str:
    """Mermaid has its own codes for characters that mean something to it, or to the page it is on."""
    return "".join(f"#{ord(letter)};" if letter in '#"<>&;`' else letter for letter in text)


def _legs(plan: Plan, people: Sequence[Event]) -> Iterator[Event]:
    before: tuple[str, ...] = ()
    for index, leg in enumerate(plan.legs):
        waits = tuple(event.id for event in people if str(leg) in event.before)
        yield Event(_id(str(leg)), "leg", f"{leg}: {MEANING[str(leg)]}", index, (*before, *waits))
        before = (_id(str(leg)),)


def _flags(plan: Plan) -> Iterator[Event]:
    """Each is turned on between the leg before its gate and the one behind it."""
    for index, leg in enumerate(plan.legs):
        for number, gate in enumerate(map(gate_of, plan.gates_at(f"before {leg}")), 1):
            if isinstance(gate, FlagGate):
                after = (_id(str(plan.legs[index - 1])),) if index else ()
                title = f"turn on the flag {gate.flag}"
                yield Event(f"flag_{leg}{number}", "flag", title, index - 0.1, after, (str(leg),))


def _of_service(plan: Plan, application: PlannedApplication, own: str) -> list[Event]:
    """Its deployments, oldest version first; and from when a version may rely on what it already writes."""
    found: list[Event] = []
    for number, (version, uses) in enumerate(_versions(application), 1):
        name, writes = f"{application.service} {version}", _WRITES in uses
        at, after = _place(plan, application, application.opens if writes else "validate", found)
        before = (application.tightens,) if writes and application.tightens is not None else ()
        found.append(
            Event(f"{own}_{number}", "deploy", f"deploy {name}, which {' and '.join(uses)}", at, after, before)
        )
        if writes and uses != [_WRITES] and application.opens is not None:
            at, after = _place(plan, application, "validate", found)
            found.append(Event(f"{own}_{number}_use", "use", f"{name} may rely on what it reads", at, after))
    if found and application.breaks is not None:
        found[-1] = replace(found[-1], before=(*found[-1].before, application.breaks))
    return found


def _place(
    plan: Plan, application: PlannedApplication, leg: str | None, earlier: Sequence[Event]
) -> tuple[float, tuple[str, ...]]:
    """Where the list has an event of the service, and after what: behind a leg and the service's earlier events.

    Where the new shape is there only once the old one goes, it waits for no leg.
    """
    legs = [str(each) for each in plan.legs]
    behind = leg if application.opens is not None else None
    index = legs.index(behind) if behind is not None else legs.index(application.breaks or legs[0]) - 1
    at = max([index + 0.1, *(event.at + 0.01 for event in earlier)])
    return at, (*((_id(behind),) if behind is not None else ()), *(event.id for event in earlier[-1:]))


def _versions(application: PlannedApplication) -> list[tuple[str, list[str]]]:
    """Each version that the spec names, oldest first, with what it is the first to do."""
    said = ((application.writes_new, _WRITES), (application.reads_new, _READS), (application.without_old, _WITHOUT))
    uses: dict[str, list[str]] = {}
    for version, use in said:
        if version is not None:
            uses.setdefault(version, []).append(use)
    return sorted(uses.items(), key=lambda item: Version(item[0]))


def _id(leg: str) -> str:
    return f"leg_{leg}"
