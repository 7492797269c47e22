"""The expectations a suite may use and the keys each takes, from known.json, without Great Expectations.

Each becomes a model of the language, so that a wrong key or value is told like any other of a spec.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Annotated, Any, Literal, cast, get_args

from pydantic import AfterValidator, Field, create_model

from crossfade.gates._query import Query, check_query_of_batch
from crossfade.gates.expectations.names import check_table, check_type
from crossfade.spec.fragment import Expression
from crossfade.spec.values import SpecModel

Schema = Mapping[str, Any]
Severity = Literal["critical", "warning", "info"]

# Great Expectations computes with floats: beyond this it would silently take another number.
_LARGEST = 2**53


_OF_EVERY_ONE: Schema = {
    "severity": {
        "description": "`warning` and `info`: told when it fails, but the gate holds.",
        "enum": list(get_args(Severity)),
    },
    "description": {"description": "What it is for, for readers.", "type": "string"},
}


@cache
def known() -> Mapping[str, Schema]:
    """Every expectation a suite may use: `summary`, `required`, and `keys` with the JSON Schema of each."""
    text = resources.files("crossfade.gates.expectations").joinpath("known.json").read_text(encoding="utf-8")
    found: dict[str, dict[str, Any]] = json.loads(text)["expectations"]
    return {name: entry | {"keys": {**entry["keys"], **_OF_EVERY_ONE}} for name, entry in found.items()}


@cache
def arguments_of(expectation: str) -> type[SpecModel]:
    """The model of an expectation's keys; `expectation` is one of `known()`."""
    entry = known()[expectation]
    fields: dict[str, Any] = {}
    for key, schema in cast(Mapping[str, Schema], entry["keys"]).items():
        default = ... if key in entry["required"] else None
        fields[key] = (_type(schema), Field(default, description=schema.get("description")))
    return create_model(expectation, __base__=SpecModel, __doc__=entry["summary"], **fields)


def _type(schema: Schema) -> Any:
    match schema:
        case {"anyOf": choices}:
            found = _type(choices[0])
            for choice in choices[1:]:
                found = found | _type(choice)
            return found
        case {"enum": values}:
            return Literal[tuple(values)]
        case {"type": "string"}:
            return _text(schema)
        case {"type": "integer"}:
            return int
        case {"type": "number"}:
            return _number(schema)
        case {"type": "boolean"}:
            return bool
        case {"type": "array"}:
            items = _type(schema["items"]) if "items" in schema else Any
            limits = Field(min_length=schema.get("minItems"), max_length=schema.get("maxItems"))
            return Annotated[tuple[items, ...], limits]
        case _:
            return dict[str, Any]


def _number(schema: Schema) -> Any:
    limits = Field(ge=schema.get("minimum"), le=schema.get("maximum"))
    return Annotated[int | float, AfterValidator(_check_exact), limits]


def _text(schema: Schema) -> Any:
    match schema.get("format"):
        case "date" | "date-time":
            return Annotated[str, AfterValidator(_check_moment)]
        case "sql-expression":
            return Expression
        case "sql-query":
            return Annotated[str, AfterValidator(check_query_of_batch)]
        case "sql-select":
            return Query
        case "sql-type":
            return Annotated[str, AfterValidator(check_type)]
        case "table":
            return Annotated[str, AfterValidator(check_table)]
        case _:
            return Annotated[str, Field(min_length=schema.get("minLength"), max_length=schema.get("maxLength"))]


def _check_exact(number: float) -> float:
    if isinstance(number, int) and abs(number) > _LARGEST:
        raise ValueError(f"Great Expectations would round it: whole numbers go to {_LARGEST}, so ask it in SQL")
    return number


def _check_moment(text: str) -> str:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("a date or a time is written 2024-01-31 or 2024-01-31T12:00:00+00:00") from None
    return text
