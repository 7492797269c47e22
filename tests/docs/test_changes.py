"""docs/changes holds what `crossfade explain` shows of every kind, and each page tells all that a reviewer asks."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from tests.docs.markdown import DOCS, Page

from crossfade.changes import CHANGES
from crossfade.cli.explain import write_pages
from crossfade.gates import GATES
from crossfade.spec import load_migration
from crossfade.spec.manual import HEADINGS, example, keys_of

FOLDER = DOCS / "changes"
HEAD = "crossfade: 1\nmigration: example\ntitle: An example\ndatabase: app\n"
KINDS = sorted(CHANGES.names())


def test_the_pages_are_as_the_models_say(tmp_path: Path) -> None:
    """`make reference` writes them."""
    write_pages(tmp_path)
    assert {p.name: p.read_text() for p in FOLDER.iterdir()} == {p.name: p.read_text() for p in tmp_path.iterdir()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_tells_what_a_reviewer_asks(kind: str) -> None:
    sections = Page(FOLDER / f"{kind}.md").sections
    assert list(sections) == [heading.lower().replace(" ", "-") for heading in (kind, "Keys", *HEADINGS)]
    assert all(text.strip() for name, text in sections.items() if name != "example")


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_is_described(kind: str) -> None:
    assert [key.path for key in keys_of(CHANGES.model(kind)) if not key.meaning] == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_is_right(kind: str, tmp_path: Path) -> None:
    shown = example(CHANGES.model(kind))
    path = tmp_path / "example.yaml"
    path.write_text(HEAD + shown)
    load_migration(path, changes=CHANGES, gates=GATES)
    assert any(kind in change for change in yaml.safe_load(shown)["changes"])
