"""The manual of a vocabulary: a page a kind, made from its model and the docstring of its class."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from crossfade.spec.kinds import Kinds
from crossfade.spec.values import SpecModel, format_duration

# What each page tells, in this order, besides what the kind does and its keys.
HEADINGS = ("Old and new versions", "Undo", "Locks", "Hazards", "Example")
_MANY: dict[object, str] = {tuple: "[]", dict: ".NAME"}


@dataclass(frozen=True)
class Key:
    """One key of a mapping.

    path: as a reader finds it, `columns[].order` for a key of each mapping in a list, `into.NAME.type` for one of each
    mapping that has a name of the user's.
    default: `required`, a value in back quotes, or a dash for none.
    """

    path: str
    default: str
    meaning: str


def summary(model: type[SpecModel]) -> str:
    """The first line of the docstring, without its full stop."""
    return _text(model).partition("\n")[0].removesuffix(".")


def introduction(model: type[SpecModel]) -> str:
    """The docstring up to its first heading."""
    return _text(model).partition("\n## ")[0].strip()


def example(model: type[SpecModel]) -> str:
    """The YAML under `Example`, as it stands in a spec."""
    _, _, shown = _text(model).partition("\n## Example\n")
    _, _, fenced = shown.partition("```yaml\n")
    return fenced.partition("```")[0]


def page(kind: str, model: type[SpecModel]) -> str:
    """The page of a kind, in Markdown."""
    first, heading, rest = _text(model).partition("\n## ")
    keys = [f"| `{key.path}` | {key.default} | {key.meaning} |" for key in keys_of(model)]
    table = "\n".join(["| key | default | meaning |", "|---|---|---|", *keys])
    return f"# {kind}\n\n{first.strip()}\n\n## Keys\n\n{table}\n\n{heading.strip()} {rest.strip()}\n"


def contents(kinds: Kinds) -> str:
    """The page that lists all kinds, in Markdown."""
    rows = [f"| [{kind}]({kind}.md) | {summary(kinds.model(kind))} |" for kind in sorted(kinds.names())]
    return "\n".join(["# Kinds of change", "", "| kind | |", "|---|---|", *rows, ""])


def keys_of(model: type[BaseModel]) -> Iterator[Key]:
    """The keys of a kind, each followed by those of the mapping or the mappings it holds; inherited ones last."""
    for name, field in sorted(model.model_fields.items(), key=lambda item: item[0] not in model.__annotations__):
        yield from _keys(field.alias or name, field)


def _keys(path: str, field: FieldInfo) -> Iterator[Key]:
    yield Key(path, default_of(field), meaning_of(field))
    inside, model = _model_in(field.annotation)
    for name, inner in model.model_fields.items() if model else ():
        yield from _keys(f"{path}{inside}.{inner.alias or name}", inner)


def meaning_of(field: FieldInfo) -> str:
    """What the key's description says, and what it may be where that is one of few words."""
    described = (field.description or "").removesuffix(".").replace("|", "\\|")
    words = [word for word in _words(field.annotation) if f"`{word}`" not in described and word != field.default]
    choices = ", ".join(f"`{word}`" for word in words)
    return ": ".join(part for part in (described, choices) if part)


def _words(annotation: Any) -> Iterator[str]:
    if get_origin(annotation) is Literal:
        yield from (str(word) for word in get_args(annotation))
        return
    for argument in get_args(annotation):
        yield from _words(argument)


def default_of(field: FieldInfo) -> str:
    """In the spelling of the language."""
    if field.is_required():
        return "required"
    default: object = field.get_default(call_default_factory=True)
    match default:
        case bool():
            return f"`{str(default).lower()}`"
        case timedelta():
            return f"`{format_duration(default)}`"
        case float():
            return f"`{default:g}`"
        case int() | str():
            return f"`{default}`"
        case _:
            return "–"


def _model_in(annotation: Any, inside: str = "") -> tuple[str, type[BaseModel] | None]:
    """The mapping that a field holds, and how a path goes into it where there may be many: by list or by name."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return inside, annotation
    many = _MANY.get(get_origin(annotation), "")
    for argument in get_args(annotation):
        found = _model_in(argument, inside or many)
        if argument is not NoneType and found[1] is not None:
            return found
    return inside, None


def _text(model: type[SpecModel]) -> str:
    return inspect.cleandoc(model.__doc__ or "")
