"""crossfade.yaml says whose tokens are trusted, and who may override gates."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossfade.spec import SpecError
from crossfade.spec.approvals import issuer_and_group
from crossfade.spec.settings import load_settings

GITHUB = """\
issuers:
  github:
    issuer: https://token.actions.githubusercontent.com
    audience: crossfade-shop
    jwks: https://token.actions.githubusercontent.com/.well-known/jwks
    claims: {repository: acme/shop, ref: [refs/heads/main, refs/heads/release]}
"""


def refusal(root: Path, text: str) -> str:
    (root / "crossfade.yaml").write_text(text)
    with pytest.raises(SpecError) as refused:
        load_settings(root / "crossfade.yaml", [])
    return str(refused.value)


def test_without_the_file_nobody_is_trusted_and_nobody_may_override(tmp_path: Path) -> None:
    settings = load_settings(tmp_path / "crossfade.yaml", [])

    assert (dict(settings.issuers), settings.override) == ({}, None)


def test_an_issuer_is_known_by_the_projects_name_for_it(tmp_path: Path) -> None:
    (tmp_path / "crossfade.yaml").write_text(GITHUB + "override: {from: 'github:release', count: 2}\n")

    settings = load_settings(tmp_path / "crossfade.yaml", [])

    github = settings.issuers["github"]
    assert (github.name, github.groups) == ("sub", None)
    assert github.claims == {"repository": ("acme/shop",), "ref": ("refs/heads/main", "refs/heads/release")}
    assert settings.override is not None
    assert (settings.override.from_, settings.override.count) == ("github:release", 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GITHUB.replace("    claims:", "    # claims:"), "has no `claims`"),
        (GITHUB.replace("jwks: https:", "jwks: http:"), "over http anybody on the way could put theirs"),
        (GITHUB.replace("jwks: https:", "jwks: ftp:"), "over http anybody on the way could put theirs"),
        (GITHUB.replace("audience", "audiences"), "unknown key `audiences`"),
        ("override: {}\n", "has no `from`"),
        ("override: {from: 'gitlab:release'}\n", "the issuer `gitlab`, which crossfade.yaml does not name"),
    ],
    ids=str,
)
def test_what_would_trust_too_many_or_nobody_is_refused(tmp_path: Path, text: str, words: str) -> None:
    found = refusal(tmp_path, text)

    assert words in found
    assert f"{tmp_path / 'crossfade.yaml'}:" in found


def test_keys_over_http_are_taken_from_this_machine_alone(tmp_path: Path) -> None:
    local = GITHUB.replace("jwks: https://token.actions.githubusercontent.com", "jwks: http://127.0.0.1:8080")
    (tmp_path / "crossfade.yaml").write_text(local)

    assert load_settings(tmp_path / "crossfade.yaml", []).issuers["github"].jwks.startswith("http://127.0.0.1:8080/")


def test_a_group_of_an_issuer_is_told_from_a_role() -> None:
    assert issuer_and_group("github:acme/release") == ("github", "acme/release")
    assert [issuer_and_group(role) for role in ("release", "a:", ":b", "A:b")] == [None] * 4
