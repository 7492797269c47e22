"""The page about torture names every shape and fault there is, and no other."""

from __future__ import annotations

import re

from tests.docs.markdown import DOCS, Page
from tests.torture.faults import FAULTS
from tests.torture.shapes import SHAPES

SECTIONS = Page(DOCS / "torture.md").sections


def test_it_names_every_shape() -> None:
    assert set(re.findall(r"^\| `([\w-]+)`", SECTIONS["shapes"], re.MULTILINE)) == set(SHAPES)


def test_it_names_every_fault() -> None:
    assert set(re.findall(r"^\| `([\w-]+)`", SECTIONS["faults"], re.MULTILINE)) == set(FAULTS)
