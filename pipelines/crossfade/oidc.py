"""Reads OIDC tokens: who approves by one, when an issuer that the project trusts has signed it.

The text of a token goes nowhere from here: refusals say what is wrong with it in words of our own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from crossfade.errors import CrossfadeError
from crossfade.spec.approvals import Issuer
from crossfade.spec.settings import FILE

if TYPE_CHECKING:
    from jwt import PyJWK, PyJWKClient

# What is signed with a private key; with a shared secret whoever can check a token could make one.
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
_SKEW = timedelta(seconds=60)  # between the clocks of issuer and database
_FETCH_SECONDS = 5
_ASK_ANEW = "get a new token, of this audience, and run the same command again"


class TokenRefused(CrossfadeError):
    """The token is not what the project trusts."""


class KeysUnavailable(CrossfadeError):
    """The issuer's keys could not be had just now, so nothing is known of the token."""


@dataclass(frozen=True)
class Bearer:
    """Whom a token names. issuer: by the project's name for it."""

    issuer: str
    name: str
    groups: tuple[str, ...]


def read_token(token: str, issuers: Mapping[str, Issuer], root: Path, at: datetime) -> Bearer:
    """Whom the token named at the moment `at`.

    issuers: those that are trusted, by the project's names for them. root: the project's, below which keys may be.

    Raises TokenRefused when it is not trusted, KeysUnavailable when that cannot be told now.
    """
    import jwt  # a tenth of a second, and most projects have no tokens

    try:
        said: dict[str, Any] = jwt.decode_complete(token, options={"verify_signature": False})["payload"]
    except jwt.InvalidTokenError:
        raise TokenRefused("it is not a JSON Web Token", fix=_ASK_ANEW) from None
    trusted = {name: issuer for name, issuer in issuers.items() if issuer.issuer == said.get("iss")}
    if not trusted:
        raise TokenRefused("its issuer is not trusted", fix=f"the issuers that are trusted stand in {FILE}")
    refusals: list[TokenRefused] = []
    for name, issuer in trusted.items():
        try:
            return _bearer(name, issuer, _verified(token, issuer, root), at)
        except TokenRefused as refused:
            refusals.append(refused)
    raise refusals[0]


def _verified(token: str, issuer: Issuer, root: Path) -> dict[str, Any]:
    """What the token says, signed by the issuer for our audience; its times are not looked at."""
    import jwt

    key = _key_in_file(token, root / issuer.jwks.removeprefix("file:")) if issuer.jwks.startswith("file:") else None
    try:
        return jwt.decode(
            token,
            key or _fetched_key(token, issuer.jwks),
            algorithms=_ALGORITHMS,
            audience=issuer.audience,
            issuer=issuer.issuer,
            options={
                "require": ["exp", "iat", "iss", "aud"],
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
    except jwt.InvalidAudienceError:
        raise TokenRefused("it is for another audience", fix=_ASK_ANEW) from None
    except jwt.MissingRequiredClaimError as error:
        raise TokenRefused(f"it has no `{error.claim}`", fix=_ASK_ANEW) from None
    except jwt.InvalidTokenError:
        raise TokenRefused("its issuer has not signed it", fix=_ASK_ANEW) from None


def _bearer(name: str, issuer: Issuer, said: Mapping[str, Any], at: datetime) -> Bearer:
    if not _is_valid_at(said, at):
        raise TokenRefused("it is expired, or not valid yet", fix=_ASK_ANEW)
    for claim, wanted in issuer.claims.items():
        if not set(_texts(said.get(claim))) & set(wanted):
            raise TokenRefused(
                f"its claim `{claim}` is not what {FILE} wants",
                why="so it was given to somebody or something that the project does not trust",
            )
    approver = next(_texts(said.get(issuer.name)), "")
    if not approver:
        raise TokenRefused(f"it has no `{issuer.name}`, which is to say who approves")
    return Bearer(name, approver, tuple(_texts(said.get(issuer.groups))) if issuer.groups is not None else ())


def _is_valid_at(said: Mapping[str, Any], at: datetime) -> bool:
    now, skew = at.timestamp(), _SKEW.total_seconds()
    begins = [said[claim] for claim in ("iat", "nbf") if claim in said]
    try:
        return all(float(begin) <= now + skew for begin in begins) and now - skew < float(said["exp"])
    except (TypeError, ValueError):
        return False


def _texts(value: Any) -> Iterator[str]:
    """A claim's text, or the texts of its list."""
    match value:
        case bool():
            yield str(value).lower()
        case str() | int():
            yield str(value)
        case list():
            for each in cast(list[Any], value):
                yield from _texts(each)
        case _:
            return


def _key_in_file(token: str, path: Path) -> PyJWK:
    import jwt

    try:
        keys = jwt.PyJWKSet.from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, jwt.PyJWTError):
        raise KeysUnavailable(
            f"{path.name} holds no keys that can be read", fix=f"correct `jwks` in {FILE}, or the file that it names"
        ) from None
    wanted = jwt.get_unverified_header(token).get("kid")
    for key in keys.keys:
        if key.key_id == wanted:
            return key
    raise _unknown_key()


def _fetched_key(token: str, url: str) -> PyJWK:
    import jwt

    try:
        return _client(url).get_signing_key_from_jwt(token)
    except jwt.PyJWKClientConnectionError:
        raise KeysUnavailable(
            "the issuer's keys could not be fetched",
            why=f"nothing came from its address within {_FETCH_SECONDS} seconds, or not what keys look like",
            fix=f"see that this machine reaches `jwks` of {FILE}",
        ) from None
    except jwt.PyJWKClientError:
        raise _unknown_key() from None
    except (ValueError, jwt.PyJWTError):
        raise KeysUnavailable(
            "the issuer's address gives no keys that can be read", fix=f"correct `jwks` in {FILE}"
        ) from None


@cache
def _client(url: str) -> PyJWKClient:
    """Keeps the issuer's keys for some minutes; asks again when a token names one that it has not got."""
    from jwt import PyJWKClient

    return PyJWKClient(url, timeout=_FETCH_SECONDS)


def _unknown_key() -> TokenRefused:
    return TokenRefused("it is signed with a key that its issuer does not have", fix=_ASK_ANEW)
