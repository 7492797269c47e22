"""Checks a mapping of a document against its model, and says what is wrong in the words of the language.

pydantic knows what is wrong by paths of its own (`('gates', 'expand', 'plain', 0)`, names of alternatives in
between) and in its own words. Here its findings get their place in the file, and words a reviewer knows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from crossfade.errors import Position, Problem
from crossfade.spec.document import Data, DataPath, Document, look
from crossfade.spec.errors import did_you_mean, nearest
from crossfade.spec.fragment import FragmentError
from crossfade.spec.values import SpecModel
from crossfade.spec.wording import choices, example, found, is_mismatch, wanted

M = TypeVar("M", bound=SpecModel)

_YES_NO = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


def validated(
    model: type[M],
    document: Document,
    at: DataPath,
    problems: list[Problem],
    *,
    page: str,
    quote: bool = True,
    context: object = None,
) -> M | None:
    """The mapping at `at` as a `model`; None when it is not one: why not is then added to `problems`.

    page: what describes the mapping: a page of docs/, maybe with a heading.
    quote: whether values may appear in messages; they may not where secrets could stand.
    context: what the model's validators may know of where it stands.
    """
    data = document.at(at)
    if data is None and at:
        data = {}  # `- drop:` means the same as `- drop: {}`
    try:
        return model.model_validate(data, by_alias=True, by_name=False, context=context)
    except ValidationError as error:
        faults = [_fault(details, model, data) for details in error.errors(include_url=False)]
        words = _Words(document, at, page, quote)
        problems += [words.problem(group) for group in _meant(_without_consequences(faults))]
        return None


@dataclass(frozen=True)
class _Fault:
    """One finding of pydantic, at its place in the data.

    path: of the value, relative to the validated mapping; of a missing or unknown key it ends with the key.
    siblings: what may stand in the mapping that holds it.
    field: the field that the value is (part of), with its key.
    branches: the unions on its way, each with the alternative that this finding is about.
    """

    error: ErrorDetails
    path: DataPath
    siblings: Mapping[str, FieldInfo]
    field: tuple[str, FieldInfo] | None
    holder: str | None
    branches: tuple[tuple[DataPath, str], ...]


def _fault(error: ErrorDetails, model: type[BaseModel], data: Data) -> _Fault:
    """Follow pydantic's path through the data, leaving out what is no key or index there."""
    path: DataPath = ()
    models: tuple[type[BaseModel], ...] = (model,)
    siblings: Mapping[str, FieldInfo] = {}
    field: tuple[str, FieldInfo] | None = None
    holder: str | None = None
    branches: tuple[tuple[DataPath, str], ...] = ()
    for last, part in _with_last(error["loc"]):
        if _holds(data, part) or (last and error["type"] in {"missing", "extra_forbidden"}):
            siblings, holder = _fields(models), field[0] if field else None
            if isinstance(part, str) and (found_field := siblings.get(part)):
                field = (part, found_field)
                models = tuple(_models_in(found_field.annotation))
            path = (*path, part)
            data = look(data, (part,))
        else:
            branches = (*branches, (path, str(part)))
            models = tuple(each for each in models if each.__name__ == part) or models
    return _Fault(error, path, siblings, field, holder, branches)


def _with_last(location: Sequence[int | str]) -> Iterator[tuple[bool, int | str]]:
    return ((index == len(location) - 1, part) for index, part in enumerate(location))


def _holds(data: Data, part: int | str) -> bool:
    if isinstance(data, dict):
        return part in data
    return isinstance(data, list) and isinstance(part, int)


def _fields(models: Sequence[type[BaseModel]]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for model in models for name, field in model.model_fields.items()}


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _without_consequences(faults: Sequence[_Fault]) -> list[_Fault]:
    """Leave out what is so only because of another fault, and would be said twice.

    A key is missing that is misspelt: that is said with the unknown key. A list is too short for pydantic, which
    counts only the entries that are right.
    """
    misspelt = {
        (*fault.path[:-1], nearest(str(fault.path[-1]), fault.siblings))
        for fault in faults
        if fault.error["type"] == "extra_forbidden"
    }
    wrong = {fault.path[:depth] for fault in faults for depth in range(len(fault.path))}
    consequences = {"missing": misspelt, "too_short": wrong}
    return [fault for fault in faults if fault.path not in consequences.get(fault.error["type"], ())]


def _meant(faults: Sequence[_Fault], depth: int = 0) -> Iterator[list[_Fault]]:
    """One group of faults for each problem to report.

    Of a union pydantic reports every alternative. Here it is the one that was meant: of the type that stands
    there, and with the fewest faults. When none is, they are one problem that names them all.
    """
    unions: defaultdict[DataPath, defaultdict[str, list[_Fault]]] = defaultdict(lambda: defaultdict(list))
    for fault in faults:
        for place, alternative in fault.branches[depth : depth + 1]:
            unions[place][alternative].append(fault)
    for fault in faults:
        if len(fault.branches) <= depth:
            yield [fault]
            continue
        place, _ = fault.branches[depth]
        alternatives = unions.pop(place, None)
        if alternatives is None:
            continue  # reported with the first fault of this union
        fitting = [
            group
            for group in alternatives.values()
            if not any(each.path == place and is_mismatch(each.error) for each in group)
        ]
        if fitting:
            # A fault inside of the value means that its shape was right.
            meant = min(fitting, key=lambda group: (all(each.path == place for each in group), len(group)))
            yield from _meant(meant, depth + 1)
        else:
            yield [group[0] for group in alternatives.values()]


@dataclass(frozen=True)
class _Words:
    """Puts the faults of one mapping into words."""

    document: Document
    at: DataPath
    page: str
    quote: bool

    def problem(self, group: Sequence[_Fault]) -> Problem:
        """The problem that a group of faults at one place is."""
        fault = group[0]
        match fault.error["type"]:
            case "extra_forbidden":
                return self._unknown_key(fault, fault.siblings)
            case "literal_error" if fault.error["loc"][-1] == "[key]":
                return self._unknown_key(fault, choices(fault.error))
            case "missing":
                return self._missing_key(fault)
            case "value_error" | "assertion_error":
                return self._refused_value(fault)
            case _:
                return self._wrong_type(group)

    def _unknown_key(self, fault: _Fault, known: Mapping[str, FieldInfo] | Sequence[str]) -> Problem:
        key = str(fault.path[-1])
        what = f"unknown key `{key}`" if self.quote or key.isidentifier() else "unknown key"
        return Problem(
            f"{what} in {self._name(fault.path[:-1])}",
            self.document.key((*self.at, *fault.path)),
            f"a mapping holds only the keys it knows: {self._page(fault)}",
            did_you_mean(key, list(known)),
        )

    def _missing_key(self, fault: _Fault) -> Problem:
        key = str(fault.path[-1])
        field = fault.siblings[key]
        return Problem(
            f"{self._name(fault.path[:-1])} has no `{key}`",
            self._beginning(fault.path[:-1]),
            self._meaning(fault, field),
            f"add it, e.g. `{example(key, field)}`",
        )

    def _refused_value(self, fault: _Fault) -> Problem:
        place = (*self.at, *fault.path)
        reason = fault.error.get("ctx", {}).get("error")
        value = fault.error["input"]
        what = f"{self._name(fault.path)}: {reason}"
        where = self.document.position(place)
        fix = f"write it e.g. as `{example(*fault.field)}`" if fault.field and fault.field[1].examples else None
        if isinstance(reason, FragmentError):
            fix = "write one SQL expression over the columns of the row, in PostgreSQL's grammar"
            if isinstance(value, str) and reason.offset is not None:
                blank = len(value) - len(value.lstrip())
                where = self.document.inside(place, blank + reason.offset)
        elif self.quote and not isinstance(value, (dict, list)):
            what += f"; found {found(value)}"
        return Problem(what, where, self._meaning(fault, fault.field and fault.field[1]), fix)

    def _wrong_type(self, group: Sequence[_Fault]) -> Problem:
        fault = group[0]
        place = (*self.at, *fault.path)
        alternatives = list(dict.fromkeys(wanted(each.error) for each in group))
        value = fault.error["input"]
        return Problem(
            f"{self._name(fault.path)} wants {' or '.join(alternatives)}, found {self._found(value, place)}",
            self.document.position(place),
            self._meaning(fault, fault.field and fault.field[1]),
            self._advice(fault, alternatives, place),
        )

    def _advice(self, fault: _Fault, alternatives: Sequence[str], place: DataPath) -> str | None:
        value = fault.error["input"]
        written = self.document.written.get(place)
        if "text" in alternatives and written:
            return f'put it in quotes: "{written}"'
        if isinstance(value, str):
            if alternatives == ["true or false"] and value.lower() in _YES_NO:
                return f"write {_YES_NO[value.lower()]}"
            if guess := nearest(value, choices(fault.error)):
                return f"did you mean `{guess}`?"
            if alternatives == ["a mapping"] and place and isinstance(place[-1], int) and value.isidentifier():
                return f"write `- {value}: {{}}`"
        if fault.field and fault.field[0] == fault.path[-1]:
            return f"write it e.g. as `{example(*fault.field)}`"
        return None

    def _found(self, value: Any, place: DataPath) -> str:
        written = self.document.written.get(place)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and written:
            return f"the number {written}"
        return found(value, quote=self.quote)

    def _beginning(self, path: DataPath) -> Position:
        """Where a mapping begins: at its first key, or at the key that should hold it when it is empty."""
        place = (*self.at, *path)
        return self.document.position(place) if self.document.at(place) else self.document.key(place)

    def _meaning(self, fault: _Fault, field: FieldInfo | None) -> str:
        described = field.description if field else None
        return f"{described.rstrip('.')}: {self._page(fault)}" if described else f"see {self._page(fault)}"

    def _page(self, fault: _Fault) -> str:
        # A change or a gate is described as a whole; of a file's other mappings each has its heading.
        return self.page if self.at or fault.holder is None else f"docs/language.md#{fault.holder}"

    def _name(self, path: DataPath) -> str:
        return _named((*self.at, *path))


def _named(path: DataPath) -> str:
    match path:
        case ():
            return "the file"
        case (*holder, int(index)):
            return f"entry {index + 1} of {_named(tuple(holder))}"
        case _:
            return f"`{path[-1]}`"
