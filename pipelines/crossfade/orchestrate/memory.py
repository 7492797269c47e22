"""What the sensor remembers from tick to tick: its cursor. Losing it costs a few questions asked twice."""

from __future__ import annotations

from pydantic import BaseModel, Field, ValidationError


class Memory(BaseModel):
    """after: the migration that the last tick ended with, when it could not look at all of them.

    ask_again: seconds since the epoch before which a leg is not looked at again, by `migration:leg`.
    approvals: how many a migration had when its gates were last asked: a new one may open what was not to be asked yet.
    seen: up to where Dagster's assets have been brought, by migration. broken: files whose failure was shown, with it.
    """

    after: str | None = None
    ask_again: dict[str, float] = Field(default_factory=dict[str, float])
    approvals: dict[str, int] = Field(default_factory=dict[str, int])
    seen: dict[str, str] = Field(default_factory=dict[str, str])
    broken: dict[str, str] = Field(default_factory=dict[str, str])

    def written(self) -> str:
        return self.model_dump_json(exclude_defaults=True)


def remembered(cursor: str | None) -> Memory:
    """What a cursor says; nothing when it is of another version."""
    try:
        return Memory.model_validate_json(cursor or "{}")
    except ValidationError:
        return Memory()
