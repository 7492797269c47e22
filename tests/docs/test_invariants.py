"""The invariants' page names tests that exist."""

from __future__ import annotations

import re

import pytest
from tests.docs.markdown import DOCS, ROOT, Page

PAGE = Page(DOCS / "invariants.md")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE.text)))


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_a_named_test_exists(path: str, name: str) -> None:
    assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8")


def test_every_invariant_names_a_test() -> None:
    stated = [text for anchor, text in PAGE.sections.items() if re.match(r"\d+-", anchor)]

    assert len(stated) == 16
    assert all("::test_" in text for text in stated)
