"""Which versions of which services use the old shape and the new one, and where it shows what runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from crossfade.errors import Position, Problem
from crossfade.spec.values import SpecModel

_ADDRESS = r"^(?:env:[A-Za-z_][A-Za-z0-9_]*|https?://[^\s@]+)$"


def _check_version(text: str) -> str:
    from packaging.version import InvalidVersion
    from packaging.version import Version as Parsed

    try:
        Parsed(text)
    except InvalidVersion:
        raise ValueError("a version is written like 2.4.0 or 2.4.0rc1") from None
    return text


def _check_path(text: str) -> str:
    from jsonpath_rfc9535 import JSONPathError
    from jsonpath_rfc9535 import compile as compile_path

    try:
        compile_path(text)
    except JSONPathError as error:
        raise ValueError(f"no JSONPath (RFC 9535): {str(error).splitlines()[0]}") from None
    return text


def _check_address(text: str) -> str:
    """The text if it is `env:NAME` or a URL without a password; raises ValueError that does not repeat it."""
    kind, _, rest = text.partition(":")
    if kind == "env" and rest.isascii() and rest.isidentifier():
        return text
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError("this is no URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("an address is written as https://HOST/PATH, or as env:NAME where it holds a secret")
    if "@" in parts.netloc:
        raise ValueError("a user or password in a URL would stand in the repository: keep it at env:NAME")
    return text


Address = Annotated[
    str,
    AfterValidator(_check_address),
    Field(
        examples=["env:PROFILE_VERSION_URL", "https://profile.internal/version"],
        json_schema_extra={"pattern": _ADDRESS},
    ),
]
Version = Annotated[str, AfterValidator(_check_version), Field(examples=["2.4.0"])]
JsonPath = Annotated[str, AfterValidator(_check_path), Field(examples=["$.version", "$.instances[*].version"])]


def is_older(version: str, than: str) -> bool:
    """As Python's packaging compares: 2.4.0rc1 is older than 2.4.0."""
    from packaging.version import Version as Parsed

    return Parsed(version) < Parsed(than)


class Application(SpecModel):
    """A service, and from which version on it uses the new shape and does without the old one."""

    service: Annotated[str, Field(min_length=1)] = Field(
        description="How its sessions name themselves: `application_name` is `SERVICE/VERSION`.",
        examples=["profile-api"],
    )
    writes_new: Version | None = Field(None, description="The first version that writes the new shape.")
    reads_new: Version | None = Field(None, description="The first version that reads the new shape.")
    without_old: Version | None = Field(
        None, description="The first version that works where only the new shape is left."
    )
    databases: tuple[str, ...] = Field((), description="Those it works with; default: all that the migration changes.")
    url: Address | None = Field(
        None, description="An endpoint that tells what runs, in place of its sessions: `env:NAME`, or a URL."
    )
    path: JsonPath = Field("$.version", description="With `url`: where versions stand in the answer, a JSONPath.")
    allow_none: bool = Field(False, description="`true`: there may be moments when none of it runs.")

    @model_validator(mode="after")
    def _does_without_what_it_no_longer_uses(self) -> Self:
        for key, version in (("writes_new", self.writes_new), ("reads_new", self.reads_new)):
            if version is not None and self.without_old is not None and is_older(self.without_old, version):
                raise ValueError(
                    f"`without_old` is {self.without_old}, and the new shape is not used before {version} (`{key}`)"
                )
        if self.url is None and "path" in self.model_fields_set:
            raise ValueError("`path` is of the answer of a `url`")
        if self.url is not None and self.databases:
            raise ValueError("a `url` tells of all of the service, so `databases` is for sessions only")
        return self

    def works_with(self, database: str) -> bool:
        return not self.databases or database in self.databases


def application_problems(
    applications: Sequence[tuple[Application, Position]], changed: Sequence[str]
) -> Iterator[Problem]:
    """What is said of services twice, or of databases that the migration does not change. changed: those it does."""
    known: set[tuple[str, str]] = set()
    for application, where in applications:
        for database in application.databases:
            if database not in changed:
                yield Problem(
                    f"`{application.service}` is said to work with `{database}`, which this migration does not change",
                    where,
                    "what a service needs there stays as it is",
                    "take it out of `databases`",
                )
        places = {(application.service, name) for name in application.databases or changed}
        if places & known:
            yield Problem(
                f"`{application.service}` is named twice for one database",
                where,
                "nothing would tell which of the two is right",
                "say it once, or name other `databases` in each",
            )
        known |= places
