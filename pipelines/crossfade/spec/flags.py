"""Whom a project asks for feature flags."""

from __future__ import annotations

import re
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from crossfade.spec.values import SpecModel

_CLASS = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"


class Flags(SpecModel):
    """Whom gates ask for feature flags: a file in flagd's format, or any provider of OpenFeature."""

    file: str | None = Field(
        default=None,
        description="Flags in flagd's format, JSON or YAML; a path from the project's root.",
        examples=["flags.json"],
    )
    provider: str | None = Field(
        default=None,
        description="A class of a package that is installed beside crossfade, `module:Class`.",
        examples=["openfeature.contrib.provider.flagd:FlagdProvider"],
        json_schema_extra={"pattern": _CLASS},
    )
    options: dict[str, Any] = Field(
        default_factory=dict[str, Any],
        description="What the class is called with; a text `env:NAME` stands for the value of that variable.",
    )

    @field_validator("provider")
    @classmethod
    def _provider_is_a_class(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(_CLASS, value):
            raise ValueError("a provider is written as module:Class")
        return value

    @model_validator(mode="after")
    def _one_is_asked(self) -> Self:
        if (self.file is None) == (self.provider is None):
            raise ValueError("flags are asked of one of `file` and `provider`")
        if self.file is not None and self.options:
            raise ValueError("`options` are of a `provider`")
        return self
