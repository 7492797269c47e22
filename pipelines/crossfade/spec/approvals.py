"""Who may approve: roles, and people whom an issuer's token names; and who may override a gate.

A project trusts issuers in its crossfade.yaml. That is no secret: their keys are public.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, field_validator

from crossfade.spec.values import SpecModel, check_identifier, listed

ISSUER_NAME = r"[a-z][a-z0-9_]{0,62}"


def issuer_and_group(team: str) -> tuple[str, str] | None:
    """The two of `github:release_managers`; None for what can only be a role of the database."""
    issuer, colon, group = team.partition(":")
    return (issuer, group) if colon and group and re.fullmatch(ISSUER_NAME, issuer) else None


def _check_team(value: Any) -> str:
    return value if isinstance(value, str) and issuer_and_group(value) else check_identifier(value)


Team = Annotated[
    str,
    BeforeValidator(_check_team, json_schema_input_type=str),
    Field(
        min_length=1,
        description="A PostgreSQL role, whose members may; or ISSUER:GROUP, for whom a token of that issuer names the"
        " group.",
        examples=["team_identity", "github:production"],
    ),
]


class OverrideRule(SpecModel):
    """Who may override a gate, and how many of them must."""

    from_: Team = Field(alias="from")
    count: Annotated[int, Field(ge=1)] = Field(1, description="How many of them must agree on it.")
    four_eyes: bool = Field(
        False, description="true: who started the migration, or is its owner by name, does not count."
    )


class Issuer(SpecModel):
    """Whose tokens are trusted, what they must say, and what is read in them."""

    issuer: str = Field(
        min_length=1,
        description="What the token's `iss` must be.",
        examples=["https://token.actions.githubusercontent.com"],
    )
    audience: str = Field(
        min_length=1,
        description="What its `aud` must be or hold; used for nothing but this project's approvals.",
        examples=["crossfade-shop"],
    )
    jwks: str = Field(
        description="Where the issuer's public keys are: a URL, or file: and a path from the project's root.",
        examples=["https://token.actions.githubusercontent.com/.well-known/jwks", "file:keys/ci.json"],
    )
    claims: dict[str, Annotated[tuple[str, ...], BeforeValidator(listed, json_schema_input_type=str | list[str])]] = (
        Field(
            description="Claims that the token must have, each with the text, or one of the texts, that it must be."
            " {}: whomever the issuer gives a token.",
            examples=[{"repository": "acme/shop"}],
        )
    )
    name: str = Field("sub", min_length=1, description="The claim that says who approves.", examples=["actor"])
    groups: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="The claim that lists groups, or is one.", examples=["environment"]
    )

    @field_validator("jwks")
    @classmethod
    def _keys_come_safely(cls, value: str) -> str:
        if value.startswith("file:") and len(value) > len("file:"):
            return value
        try:
            address = urlsplit(value)
            host = address.hostname or ""
        except ValueError:
            raise ValueError("not a URL") from None
        if host and (address.scheme == "https" or (address.scheme == "http" and _is_this_machine(host))):
            return value
        raise ValueError(
            "keys are fetched by https, or read from a file: over http anybody on the way could put theirs"
        )


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def unknown_issuer(team: str, issuers: Mapping[str, Issuer]) -> str | None:
    """What is wrong with a team whose issuer is not trusted; None where nothing is."""
    named = issuer_and_group(team)
    if named is None or named[0] in issuers:
        return None
    return f"`{team}` is a group of the issuer `{named[0]}`, which crossfade.yaml does not name"
