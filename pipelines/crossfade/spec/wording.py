"""A wrong value in plain words: what was wanted, what was found, and how a right one would look."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from crossfade.spec.values import format_duration

_WANTED = {
    "bool": "true or false",
    "decimal": "a number",
    "dict": "a mapping",
    "float": "a number",
    "frozen_set": "a list",
    "int": "a whole number",
    "list": "a list",
    "mapping": "a mapping",
    "model": "a mapping",
    "model_attributes": "a mapping",
    "set": "a list",
    "string": "text",
    "tuple": "a list",
}
_BOUNDS = {
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
    "string_pattern_mismatch": "text of the form {pattern}",
    "string_too_long": "text of at most {max_length} characters",
    "string_too_short": "text of at least {min_length} characters",
    "too_long": "at most {max_length} entries",
    "too_short": "at least {min_length} entries",
}
_SAMPLES: Mapping[object, str] = {bool: "true", int: "1", float: "0.5", str: "some text"}
# Where the type alone would give a name that misleads.
_KEYS: Mapping[str, str] = {"column": "email", "database": "app"}
_LONGEST_QUOTE = 60


def wanted(error: ErrorDetails) -> str:
    """What a validation error asks for, as it follows `wants`."""
    kind, context = error["type"], error.get("ctx", {})
    if kind in {"literal_error", "enum", "union_tag_invalid"}:
        return " or ".join(f"`{choice}`" for choice in choices(error))
    if kind in {"string_too_short", "too_short"} and context.get("min_length") == 1:
        return "text that is not empty" if kind == "string_too_short" else "at least one entry"
    if kind in _BOUNDS:
        return _BOUNDS[kind].format_map(cast(Mapping[str, Any], context))
    return _WANTED.get(re.sub(r"_(type|parsing|from_float|of)$", "", kind)) or error["msg"].removeprefix(
        "Input should be "
    )


def is_mismatch(error: ErrorDetails) -> bool:
    """The value is of another type than wanted: this alternative of a union was not meant."""
    return error["type"].endswith("_type") or error["type"] in {"literal_error", "enum"}


def choices(error: ErrorDetails) -> list[str]:
    """The values a closed choice allows, as they are written in YAML."""
    context = error.get("ctx", {})
    expected = str(context.get("expected") or context.get("expected_tags") or "")
    return [quoted or bare for quoted, bare in re.findall(r"'([^']*)'|([\w.-]+)(?=,| or |$)", expected)]


def found(value: Any, *, quote: bool = True) -> str:
    """What stands there, as it follows `found`; `quote` says whether text may be shown."""
    match value:
        case None:
            return "nothing"
        case bool():
            return f"`{str(value).lower()}`"
        case int() | float():
            return f"the number {value}"
        case str() if not quote:
            return "text"
        case str():
            shown = value if len(value) <= _LONGEST_QUOTE else value[:_LONGEST_QUOTE] + "..."
            return f"the text `{shown}`" if value else "empty text"
        case list() | tuple():
            return "a list"
        case _:
            return "a mapping"


def example(key: str, field: FieldInfo) -> str:
    """A line that would be right there: from the field's examples, its default or its type."""
    if field.examples:
        return f"{key}: {_yaml(field.examples[0])}"
    if field.default and isinstance(field.default, (str, int, float, timedelta)):
        return f"{key}: {_yaml(field.default)}"
    return f"{key}: {_KEYS.get(key) or _sample(field.annotation)}"


def _yaml(value: Any) -> str:
    if isinstance(value, timedelta):
        return format_duration(value)
    return json.dumps(value) if not isinstance(value, str) else value


def _sample(annotation: Any) -> str:
    origin, arguments = get_origin(annotation) or annotation, get_args(annotation)
    if origin is Annotated:
        shown = [item.examples[0] for item in arguments if isinstance(item, FieldInfo) and item.examples]
        return _yaml(shown[0]) if shown else _sample(arguments[0])
    if origin in {Union, UnionType}:
        return _sample(next(alternative for alternative in arguments if alternative is not NoneType))
    if origin is Literal:
        return _yaml(arguments[0])
    if origin in {tuple, list}:
        return f"[{_sample(arguments[0])}]" if arguments else "[...]"
    if isinstance(origin, type) and (origin is dict or issubclass(origin, BaseModel)):
        return "{...}"
    return _SAMPLES.get(cast(object, origin), "...")
