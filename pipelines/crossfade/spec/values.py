"""The small values of the language: durations, sizes, identifiers, and the closed mapping they stand in."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    PlainSerializer,
)
from pydantic_core import CoreSchema, PydanticCustomError

_DURATION = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*(ms|s|m|h|d|w)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*(B|kB|KB|MB|GB|TB)")
_BYTES = {"B": 1, "kB": 2**10, "KB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}
_ID = re.compile(r"[a-z][a-z0-9_]{0,62}")
_COLUMN = re.compile(r"(?:[^.\s]+\.)?[^.\s]+\.[^.\s]+")

# NAMEDATALEN - 1: a longer name would be cut by the server without a word.
LONGEST_NAME = 63


def _make_scalars_strict(schema: object) -> None:
    """Let `workers: "2"` and `nullable: no` be wrong types, as they are in the schema an editor checks with.

    pydantic would convert them. Its own strict mode is no way out: a YAML list is no tuple then.
    """
    if isinstance(schema, dict):
        node = cast(dict[str, object], schema)
        if node.get("type") == "model-fields":
            parts = cast(dict[str, object], node["fields"]).values()
        else:
            parts = [part for key, part in node.items() if key not in {"default", "metadata", "serialization"}]
        if node.get("type") in ("bool", "int", "float"):
            node["strict"] = True
        for part in parts:
            _make_scalars_strict(part)
    elif isinstance(schema, list):
        for part in cast(list[object], schema):
            _make_scalars_strict(part)


class SpecModel(BaseModel):
    """A mapping of the language: closed (an unknown key is an error), frozen, compared by value."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, arbitrary_types_allowed=True)

    @property
    def files(self) -> tuple[str, ...]:
        """Files beside the spec that say with it what is done, so that they are frozen with it."""
        return ()

    @property
    def awaits(self) -> tuple[str, str | None] | None:
        """Another migration that must have come so far first: its id, and a phase or stage; None: all of it."""
        return None

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        _make_scalars_strict(schema)
        return schema


def parse_duration(value: Any) -> timedelta:
    """`500ms`, `10s`, `5m`, `4h`, `7d`, `2w` as a timedelta; raises ValueError for anything else."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        try:
            return timedelta(seconds=float(match[1]) * _UNITS[match[2]])
        except OverflowError:
            raise ValueError("this duration is longer than the calendar") from None
    raise ValueError("a duration is a number with a unit: 500ms, 10s, 5m, 4h, 7d, 2w")


def format_duration(value: timedelta) -> str:
    """The shortest exact spelling in the language, e.g. timedelta(days=7) -> `7d`."""
    microseconds = value // timedelta(microseconds=1)
    if microseconds == 0:
        return "0s"
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(microseconds, int(_UNITS[unit] * 1_000_000))
        if rest == 0:
            return f"{count}{unit}"
    count, rest = divmod(microseconds, 1000)
    return f"{count}.{rest:03}ms" if rest else f"{count}ms"


def parse_size(value: Any) -> int:
    """`64MB` as bytes, a plain number as it is; raises ValueError for anything else."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())):
        return int(float(match[1]) * _BYTES[match[2]])
    raise ValueError("a size is a number with a unit: 512kB, 64MB, 2GB")


def check_identifier(value: Any) -> str:
    """The value if it may be a name of the database; raises ValueError that says why not."""
    if not isinstance(value, str):
        # The type of a mismatch, so that where a mapping may stand instead, its own faults are told.
        raise PydanticCustomError("string_type", "a name of the database is text")
    if not value:
        raise ValueError("a name of the database is text, written as in the database, without quotes")
    if "\x00" in value:
        raise ValueError("a name cannot hold a zero byte")
    if len(value.encode()) > LONGEST_NAME:
        raise ValueError(f"PostgreSQL would cut this name: {len(value.encode())} bytes, at most {LONGEST_NAME}")
    if value.startswith("_cf_"):
        raise ValueError("names that start with _cf_ are crossfade's own")
    return value


def check_id(value: Any) -> str:
    """The value if it may be the id of a migration; raises ValueError that says what an id is."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise ValueError("an id is lower-case letters, digits and _, begins with a letter, at most 63 characters")
    return value


def check_column(text: str) -> str:
    """The text if it may name a column with its table; raises ValueError that says how that is written."""
    if not _COLUMN.fullmatch(text):
        raise ValueError("a column is written as table.column or schema.table.column")
    return text


def listed(value: Any) -> Any:
    """One word stands for a list of it."""
    return [value] if isinstance(value, str) else value


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration, json_schema_input_type=str),
    PlainSerializer(format_duration, return_type=str),
    Field(
        examples=["500ms", "10s", "5m", "7d"],
        json_schema_extra={"type": "string", "pattern": rf"^\s*{_DURATION.pattern}\s*$"},
    ),
]
Size = Annotated[
    int,
    BeforeValidator(parse_size, json_schema_input_type=str | int),
    Field(examples=["512kB", "64MB"], json_schema_extra={"pattern": rf"^\s*{_SIZE.pattern}\s*$", "minimum": 0}),
]
Identifier = Annotated[
    str,
    BeforeValidator(check_identifier, json_schema_input_type=str),
    Field(
        description="A name as it is written in the database, without quotes.",
        min_length=1,
        examples=["users"],
    ),
]
ColumnName = Annotated[str, AfterValidator(check_column), Field(examples=["users.email"])]
MigrationId = Annotated[
    str,
    BeforeValidator(check_id, json_schema_input_type=str),
    Field(examples=["normalize_emails"], json_schema_extra={"pattern": f"^{_ID.pattern}$"}),
]
