"""From a YAML file to a checked Migration: its head, then each change and gate by the model of its kind.

Everything that is wrong in a file is found in one go and reported in the order it stands there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from crossfade.errors import Problem
from crossfade.spec.document import Data, DataPath, Document, look, read_document
from crossfade.spec.errors import SpecError, did_you_mean
from crossfade.spec.kinds import Kinds
from crossfade.spec.model import (
    PHASES,
    PLAIN_LIST,
    STAGES,
    Contract,
    Entry,
    GatePoint,
    Head,
    Migration,
    Moment,
    Stage,
    StageOptions,
    StageSpec,
    digest,
)
from crossfade.spec.validation import validated

_MOMENTS: tuple[Moment, Moment] = ("before", "after")
# Options that mean something in one stage only.
_OPTION_OF = {"keep": "archive", "at": "brownout", "for": "brownout", "timezone": "brownout", "without_log": "brownout"}


def load_migration(path: Path, *, changes: Kinds, gates: Kinds) -> Migration:
    """Read one migration spec; raises SpecError with everything that is wrong in it."""
    return check_migration(read_document(path), changes=changes, gates=gates)


def check_migration(document: Document, *, changes: Kinds, gates: Kinds) -> Migration:
    """Check a parsed migration spec; raises SpecError with everything that is wrong in it."""
    check = _Check(document)
    head = validated(Head, document, (), check.problems, page="docs/language.md#migration")
    entries = check.changes(changes)
    points = check.gates(gates)
    check.stages()
    files = check.files(entries)
    if head is None or check.problems:
        error = SpecError.sorted(check.problems)
        error.migration = _id_if_readable(document)
        raise error
    return Migration(
        path=document.path,
        text=document.text + "".join(map(_as_comment, files.items())),
        digest=digest("\0".join([_canonical(document.data), *files.values()])),
        head=head,
        changes=entries,
        gates=points,
        stages=tuple(_stage_specs(head.contract)),
        where=document.where,
    )


def gates_listed(document: Document, path: DataPath, kinds: Kinds, problems: list[Problem]) -> tuple[Entry, ...]:
    """The gates in a list of a document that is no migration; what is wrong with them is added to `problems`."""
    return _Check(document, problems).gates_at(path, kinds, None)


@dataclass
class _Check:
    """Reads the parts of a spec that its head leaves open, and collects what is wrong with them.

    It works on the bare data, of which the head may have been refused: what has the wrong shape there has
    been reported with the head and is passed over here.
    """

    document: Document
    problems: list[Problem] = field(default_factory=list[Problem])

    def changes(self, kinds: Kinds) -> tuple[Entry, ...]:
        found: list[Entry] = []
        for path, change in _mappings(self.document.data, ("changes",)):
            kind = self._kind_of_change(path, change, kinds)
            if kind is None:
                continue
            place = (*path, kind)
            body = validated(kinds.model(kind), self.document, place, self.problems, page=f"docs/changes/{kind}.md")
            if body is not None:
                found.append(Entry(kind, body, self.document.key(place)))
        return tuple(found)

    def files(self, entries: Sequence[Entry]) -> dict[str, str]:
        """The text of each file beside the spec that belongs to it."""
        found: dict[str, str] = {}
        for entry in entries:
            for name in entry.body.files:
                with suppress(OSError, UnicodeDecodeError):  # refused when it is planned
                    found[name] = (self.document.path.parent / name).read_text(encoding="utf-8")
        return found

    def gates(self, kinds: Kinds) -> Mapping[GatePoint, tuple[Entry, ...]]:
        found: dict[GatePoint, tuple[Entry, ...]] = {}
        for point, path in _gate_points(self.document.data):
            if entries := self.gates_at(path, kinds, point):
                found[point] = entries
        return found

    def gates_at(self, path: DataPath, kinds: Kinds, point: GatePoint | None) -> tuple[Entry, ...]:
        """The gates in the list at `path`. point: where in a migration they stand; None: between waves of a fleet."""
        entries: list[Entry] = []
        for place, gate in _mappings(self.document.data, path):
            kind = self._kind_of_gate(place, gate, kinds)
            if kind is None:
                continue
            body = validated(
                kinds.model(kind),
                self.document,
                place,
                self.problems,
                page=f"docs/language.md#{kind}",
                context=point,
            )
            if body is not None:
                entries.append(Entry(kind, body, self.document.key((*place, kind))))
        return tuple(entries)

    def stages(self) -> None:
        known: list[str] = []
        for path, stage in _mappings(self.document.data, ("contract", "stages")):
            if len(stage) != 1:
                self._refuse(path, f"a stage is one key, its name; found {_listed(stage)}", fix="write `- retire: {}`")
                continue
            (name, options), place = next(iter(stage.items())), (*path, *stage)
            if name not in STAGES:
                self._refuse(
                    place,
                    f"unknown stage `{name}`",
                    why="see docs/language.md#stages",
                    fix=did_you_mean(name, STAGES),
                )
            elif name in known:
                self._refuse(place, f"stage `{name}` is given twice", fix="keep one of them")
            elif known and STAGES.index(name) < STAGES.index(cast(Stage, known[-1])):
                self._refuse(
                    place,
                    f"stage `{name}` comes before `{known[-1]}`",
                    why="each stage needs what the one before has done: docs/language.md#stages",
                    fix=f"the order is {', '.join(STAGES)}; leave out what is not wanted",
                )
            else:
                known.append(name)
            for option in options if isinstance(options, dict) else ():
                if _OPTION_OF.get(option, name) != name:
                    self._refuse(
                        (*place, option),
                        f"`{option}` belongs to the stage `{_OPTION_OF[option]}`, not to `{name}`",
                        why="see docs/language.md#stages",
                        fix="move it there, or delete it",
                    )

    def _kind_of_change(self, path: DataPath, change: Mapping[str, Data], kinds: Kinds) -> str | None:
        known = kinds.names()
        if len(change) == 1:
            (kind,) = change
            if kind in known:
                return kind
            self._refuse(
                (*path, kind),
                f"unknown kind of change `{kind}`",
                why="the kinds are in docs/changes/README.md",
                fix=did_you_mean(kind, known),
            )
            return None
        first = next(iter(change), "")
        if first in known and change[first] is None:
            what, fix = f"nothing stands under `{first}:`", "indent the keys below it by two more spaces"
        else:
            what, fix = (
                f"a change is one key, its kind; found {_listed(change)}",
                "begin each change with `- `",
            )
        self._refuse(path, what, why="see docs/language.md#changes", fix=fix)
        return None

    def _kind_of_gate(self, path: DataPath, gate: Mapping[str, Data], kinds: Kinds) -> str | None:
        known = kinds.names()
        named = [key for key in gate if key in known]
        if len(named) > 1:
            # The name of one kind may be an option of another: it is the one that knows all the keys.
            named = [kind for kind in named if gate.keys() <= _keys(kinds, kind)] or named
        match named:
            case [kind]:
                return kind
            case []:
                first = next(iter(gate), "")
                self._refuse(
                    (*path, first),
                    f"unknown kind of gate `{first}`" if gate else "an empty gate",
                    why="the kinds are in docs/language.md#gates",
                    fix=did_you_mean(first, known),
                )
            case _:
                self._refuse(
                    path,
                    f"a gate is of one kind; found {_listed(named)}",
                    why="gates of one list must all hold: docs/language.md#gates",
                    fix="begin each gate with `- `",
                )
        return None

    def _refuse(self, path: DataPath, what: str, *, fix: str, why: str | None = None) -> None:
        self.problems.append(Problem(what, self.document.key(path), why, fix))


def _canonical(data: Data) -> str:
    return json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _as_comment(file: tuple[str, str]) -> str:
    name, text = file
    return "".join(f"# {line}\n".replace(" \n", "\n") for line in (f"{name}:", *text.splitlines()))


def _keys(kinds: Kinds, kind: str) -> set[str]:
    return {field.alias or name for name, field in kinds.model(kind).model_fields.items()}


def _listed(names: Mapping[str, Data] | Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


def _mappings(data: Data, path: DataPath) -> Iterator[tuple[DataPath, dict[str, Data]]]:
    """The mappings in the list at `path`, each with its own path."""
    entries = look(data, path)
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict):
            yield (*path, index), entry


def _gate_points(data: Data) -> Iterator[tuple[GatePoint, DataPath]]:
    """Every list of gates in a spec: the moment its gates stand at, and its path."""
    for phase in PHASES:
        for moment, path in _lists(look(data, ("gates", phase)), ("gates", phase), PLAIN_LIST[phase]):
            yield GatePoint(phase, moment), path
    for path, item in _mappings(data, ("contract", "stages")):
        for stage in STAGES:
            place = (*path, stage, "gates")
            for moment, listed in _lists(look(item, (stage, "gates")), place, PLAIN_LIST["contract"]):
                yield GatePoint("contract", moment, stage), listed


def _lists(gates: Data, path: DataPath, plain: Moment) -> Iterator[tuple[Moment, DataPath]]:
    if isinstance(gates, list):
        yield plain, path
    elif isinstance(gates, dict):
        for moment in _MOMENTS:
            if moment in gates:
                yield moment, (*path, moment)


def _stage_specs(contract: Contract) -> Iterator[StageSpec]:
    for item in contract.stages:
        for name, options in item.items():
            yield StageSpec(cast(Stage, name), options or StageOptions())


def _id_if_readable(document: Document) -> str | None:
    found = look(document.data, ("migration",))
    return found if isinstance(found, str) else None
