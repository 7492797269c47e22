"""crossfade.yaml says whose roles and names in tokens are one person's."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossfade.spec import SpecError
from crossfade.spec.people import Identity
from crossfade.spec.settings import load_settings

ISSUERS = """\
issuers:
  github: {issuer: https://ci.example, audience: shop, jwks: 'file:keys.json', claims: {}}
"""


def test_a_person_has_roles_and_names_in_tokens(tmp_path: Path) -> None:
    (tmp_path / "crossfade.yaml").write_text(
        ISSUERS + "people: {Ada: [ada, 'github:ada-l'], Ben: ben}\nmachines: [ci, 'github:renovate[bot]']\n"
    )

    people = load_settings(tmp_path / "crossfade.yaml", []).who_is_who

    assert people.persons == {
        Identity(None, "ada"): "Ada",
        Identity("github", "ada-l"): "Ada",
        Identity(None, "ben"): "Ben",
    }
    assert people.machines == {Identity(None, "ci"), Identity("github", "renovate[bot]")}


@pytest.mark.parametrize(
    ("text", "words", "place"),
    [
        ("people: {Ada: [ada], Ben: [ben, ada]}", "`ada` is Ada's already, so it cannot be Ben's", "3:33"),
        ("people: {Ada: [ada]}\nmachines: [ada]", "`ada` is Ada's already, so it cannot be a machine's", "4:12"),
        ("people: {Ada: 'gitlab:ada'}", "`gitlab`, an issuer that is not named", "3:15"),
        ("machines: ''", "", "3:11"),
    ],
)
def test_what_is_nobodys_or_of_two_is_refused_with_its_place(tmp_path: Path, text: str, words: str, place: str) -> None:
    (tmp_path / "crossfade.yaml").write_text(f"{ISSUERS}{text}\n")

    with pytest.raises(SpecError) as refused:
        load_settings(tmp_path / "crossfade.yaml", [])

    assert words in str(refused.value)
    assert str(refused.value.problems[0].where).endswith(f"crossfade.yaml:{place}")
