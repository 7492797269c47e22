"""docs/operations.md names every table of the ledger, and every right that a run was tried with and without."""

from __future__ import annotations

import re
from importlib import resources

from tests.docs.markdown import DOCS, Page
from tests.execute.rights import RIGHTS

PAGE = Page(DOCS / "operations.md")


def test_the_ledgers_tables_are_named() -> None:
    schema = resources.files("crossfade.ledger").joinpath("schema.sql").read_text(encoding="utf-8")
    named = re.findall(r"^\| `(\w+)` \|", PAGE.sections["the-ledger"], re.MULTILINE)
    assert set(named) == set(re.findall(r"CREATE TABLE crossfade\.(\w+)", schema))


def test_the_rights_are_those_a_run_was_tried_with_and_without() -> None:
    names = {name: name for name in ("owner", "role", "schema", "database")}
    names |= dict.fromkeys(("parent", "filled", "asked"), "table")
    cells = re.findall(r"^\|(.+?)\|", PAGE.sections["privileges"].partition("| who |")[0], re.MULTILINE)
    said = {grant for cell in cells for grant in re.findall("`(GRANT .+?)`", cell)}
    assert said == {right.format(**names) for right in RIGHTS.values()}
