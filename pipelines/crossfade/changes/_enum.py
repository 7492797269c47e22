"""What the kinds share that are about an enum."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from crossfade.catalog.model import Enum
from crossfade.changes._context import Context
from crossfade.changes._created import refuse_missing
from crossfade.spec.errors import did_you_mean
from crossfade.spec.values import LONGEST_NAME


def _fits(value: str) -> str:
    if len(value.encode()) > LONGEST_NAME:
        raise ValueError(f"PostgreSQL takes no longer word: {len(value.encode())} bytes, at most {LONGEST_NAME}")
    return value


Word = Annotated[str, Field(min_length=1, examples=["shipped"]), AfterValidator(_fits)]


def found_enum(context: Context, written: str) -> Enum:
    """The enum; refuses a name that none has."""
    name = context.name(written)
    found = context.catalog.enums.get(name)
    if found is None:
        refuse_missing(context, "enum", name, context.catalog.enums, "enum")
    return found


def refuse_unknown_value(context: Context, enum: Enum, value: str, key: str) -> None:
    if value not in enum.values:
        context.refuse(f"{enum.name} has no value {value}", fix=did_you_mean(value, enum.values), at=(key,))
