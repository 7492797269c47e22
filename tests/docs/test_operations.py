"""docs/operations.md names every table of the ledger."""

from __future__ import annotations

import re
from importlib import resources

from tests.docs.markdown import DOCS, Page

PAGE = Page(DOCS / "operations.md")


def test_the_ledgers_tables_are_named() -> None:
    schema = resources.files("crossfade.ledger").joinpath("schema.sql").read_text(encoding="utf-8")
    named = re.findall(r"^\| `(\w+)` \|", PAGE.sections["the-ledger"], re.MULTILINE)
    assert set(named) == set(re.findall(r"CREATE TABLE crossfade\.(\w+)", schema))
