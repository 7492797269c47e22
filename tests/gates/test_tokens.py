"""Whom a token names is believed only where an issuer that the project trusts says so, to this project, now."""

from __future__ import annotations

import base64
import json
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from tests.issuer import Issuer, serving

from crossfade import oidc
from crossfade.oidc import Bearer, KeysUnavailable, TokenRefused
from crossfade.spec.settings import load_settings


@pytest.fixture(scope="module")
def issuer() -> Generator[Issuer]:
    with serving(Issuer()) as issuer:
        yield issuer


@pytest.fixture
def trust(issuer: Issuer, tmp_path: Path) -> Path:
    (tmp_path / "crossfade.yaml").write_text(issuer.trusted())
    return tmp_path


def read_token(token: str, root: Path, at: datetime) -> Bearer:
    """As a project reads it whose crossfade.yaml is below `root`."""
    return oidc.read_token(token, load_settings(root / "crossfade.yaml", []).issuers, root, at)


def refusal(token: str, trust: Path, at: datetime | None = None) -> str:
    with pytest.raises(TokenRefused) as refused:
        read_token(token, trust, at or datetime.now(UTC))
    assert token not in str(refused.value)  # nor in a log, then
    return refused.value.what


def test_a_signed_token_names_who_approves_and_their_groups(issuer: Issuer, trust: Path) -> None:
    one = read_token(issuer.token("ada", environment="production"), trust, datetime.now(UTC))
    several = read_token(issuer.token("ben", environment=["a", "b"]), trust, datetime.now(UTC))

    assert one == Bearer("ci", "ada", ("production",))
    assert several == Bearer("ci", "ben", ("a", "b"))


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"aud": "another-service"}, "it is for another audience"),
        ({"aud": None}, "it has no `aud`"),
        ({"exp": None}, "it has no `exp`"),
        ({"iss": "https://elsewhere.example"}, "its issuer is not trusted"),
        ({"iss": None}, "its issuer is not trusted"),
        ({"repository": "eve/shop"}, "its claim `repository` is not what crossfade.yaml wants"),
        ({"repository": None}, "its claim `repository` is not what crossfade.yaml wants"),
        ({"actor": None}, "it has no `actor`, which is to say who approves"),
        ({"nbf": 99999999999}, "it is expired, or not valid yet"),
        ({"exp": 1000}, "it is expired, or not valid yet"),
    ],
    ids=str,
)
def test_a_token_that_says_something_else_is_refused(
    issuer: Issuer, trust: Path, claims: dict[str, Any], words: str
) -> None:
    assert refusal(issuer.token(**claims), trust) == words


def test_it_counts_as_of_when_it_was_presented(issuer: Issuer, trust: Path) -> None:
    token, now = issuer.token(), datetime.now(UTC)

    assert read_token(token, trust, now + timedelta(minutes=9)).name == "ada"
    assert refusal(token, trust, now + timedelta(minutes=12)) == "it is expired, or not valid yet"
    assert refusal(token, trust, now - timedelta(minutes=2)) == "it is expired, or not valid yet"


def test_what_another_key_has_signed_is_refused(trust: Path) -> None:
    forger = Issuer()

    assert refusal(forger.token(), trust) == "its issuer has not signed it"
    assert refusal(forger.token(key="two"), trust) == "it is signed with a key that its issuer does not have"


def test_a_token_that_was_edited_is_refused(issuer: Issuer, trust: Path) -> None:
    header, payload, signature = issuer.token("ada").split(".")
    said = json.loads(base64.urlsafe_b64decode(payload + "=="))
    edited = base64.urlsafe_b64encode(json.dumps({**said, "actor": "eve"}).encode()).decode().rstrip("=")

    assert refusal(f"{header}.{edited}.{signature}", trust) == "its issuer has not signed it"


def test_a_token_without_a_signature_or_signed_with_what_everybody_knows_is_refused(
    issuer: Issuer, trust: Path
) -> None:
    said: dict[str, Any] = jwt.decode(issuer.token(), options={"verify_signature": False})

    unsigned = jwt.encode(said, "", algorithm="none", headers={"kid": "one"})
    shared = jwt.encode(said, "k" * 32, algorithm="HS256", headers={"kid": "one"})

    assert refusal(unsigned, trust) == "its issuer has not signed it"
    assert refusal(shared, trust) == "its issuer has not signed it"


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "é.é.é", "eyJhbGciOiJub25lIn0.e30.", "." * 10])
def test_what_is_no_token_is_refused(trust: Path, text: str) -> None:
    with pytest.raises(TokenRefused):
        read_token(text, trust, datetime.now(UTC))


def test_keys_may_be_in_a_file_of_the_project(issuer: Issuer, tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text(issuer.keys)
    (tmp_path / "crossfade.yaml").write_text(issuer.trusted().replace(issuer.jwks, "file:keys.json"))

    assert read_token(issuer.token(), tmp_path, datetime.now(UTC)).name == "ada"
    assert refusal(issuer.token(key="two"), tmp_path) == "it is signed with a key that its issuer does not have"
    (tmp_path / "keys.json").write_text("{}")
    with pytest.raises(KeysUnavailable):
        read_token(issuer.token(), tmp_path, datetime.now(UTC))


def test_keys_that_cannot_be_fetched_tell_nothing_of_a_token(tmp_path: Path) -> None:
    with serving(Issuer()) as gone:
        (tmp_path / "crossfade.yaml").write_text(gone.trusted())

    with pytest.raises(KeysUnavailable, match="the issuer's keys could not be fetched"):
        read_token(gone.token(), tmp_path, datetime.now(UTC))
