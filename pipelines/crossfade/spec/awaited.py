"""Gates that wait for other migrations: of the project, which come to what is waited for, and do not wait back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import cast

from crossfade.errors import Problem
from crossfade.spec.errors import SpecError, did_you_mean
from crossfade.spec.model import PHASES, STAGES, Entry, GatePoint, Migration

# What a migration goes through, in order.
_COURSE: tuple[str, ...] = (*PHASES[:-1], *STAGES)
_LAST = len(_COURSE) - 1

Place = tuple[str, int]  # of a migration, how far in its course


def awaited_problems(migration: Migration, ids: Collection[str]) -> Iterator[Problem]:
    """What its gates wait for that is no migration of the project. ids: of all, those that cannot be read too."""
    for _, gate, (awaited, _) in _awaiting(migration):
        if awaited not in ids:
            what = f"a gate `after` names `{awaited}`, which is no migration here"
            yield Problem(what, gate.where, "it would be waited for without end", did_you_mean(awaited, ids))
        elif awaited == migration.id:
            yield Problem("a gate waits for its own migration", gate.where, "it would wait without end", "delete it")


def without_vain_waits(migrations: Sequence[Migration]) -> tuple[tuple[Migration, ...], list[SpecError]]:
    """The migrations whose gates wait for what can come; why the others are refused."""
    by_id = {migration.id: migration for migration in migrations}
    refused: list[SpecError] = []
    for migration in migrations:
        if problems := [*_never_reached(migration, by_id)]:
            refused.append(SpecError.sorted(problems))
            del by_id[migration.id]
    while any(True for migration in by_id.values() for _ in _awaiting(migration)):
        try:
            TopologicalSorter(_course_of(by_id.values())).prepare()
        except CycleError as error:
            circle = list(dict.fromkeys(name for name, _ in cast(list[Place], error.args[1])))
            refused.append(_circle(by_id, circle))
            for name in circle:
                del by_id[name]
        else:
            break
    return tuple(migration for migration in migrations if migration.id in by_id), refused


def _awaiting(migration: Migration) -> Iterator[tuple[GatePoint, Entry, tuple[str, str | None]]]:
    for point, gates in migration.gates.items():
        for gate in gates:
            if (awaited := gate.body.awaits) is not None:
                yield point, gate, awaited


def _never_reached(migration: Migration, by_id: Mapping[str, Migration]) -> Iterator[Problem]:
    for _, gate, (name, passed) in _awaiting(migration):
        other = by_id.get(name)
        if other is not None and passed in STAGES and other.ends_before(passed):
            yield Problem(
                f"a gate waits for `{passed}` of `{name}`, which ends contract with `{other.last_stage}`",
                gate.where,
                "it would wait without end",
                f"wait for `{other.last_stage}`, or for all of it",
            )


def _course_of(migrations: Iterable[Migration]) -> dict[Place, set[Place]]:
    """What each place of each migration comes after."""
    waits: dict[Place, set[Place]] = {}
    for migration in migrations:
        for at in range(1, len(_COURSE)):
            waits.setdefault((migration.id, at), set()).add((migration.id, at - 1))
        waits.setdefault((migration.id, 0), set()).update((before, _LAST) for before in migration.head.after)
        for point, _, (awaited, passed) in _awaiting(migration):
            waits.setdefault((migration.id, _at(point)), set()).add((awaited, _reached(passed)))
    return waits


def _at(point: GatePoint) -> int:
    if point.phase != "contract":
        return _COURSE.index(point.phase)
    if point.stage is not None:
        return _COURSE.index(point.stage)
    return len(PHASES) - 1 if point.moment == "before" else _LAST


def _reached(passed: str | None) -> int:
    return _COURSE.index(passed) if passed in _COURSE else _LAST


def _circle(by_id: Mapping[str, Migration], circle: Sequence[str]) -> SpecError:
    waiting = next(gate for name in circle for _, gate, (awaited, _) in _awaiting(by_id[name]) if awaited in circle)
    return SpecError(
        f"migrations wait for each other: {', '.join(f'`{name}`' for name in circle)}",
        where=waiting.where,
        why="by this gate none of them could ever go on",
        fix="take it out, or wait for an earlier phase",
    )
