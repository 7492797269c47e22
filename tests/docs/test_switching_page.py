"""docs/switching.md: its migration is planned, with its databases, as the page shows them."""

from __future__ import annotations

from pathlib import Path

from tests.docs.markdown import DOCS, Page

from crossfade.changes import CHANGES
from crossfade.gates import GATES
from crossfade.spec import load_project

PAGE = Page(DOCS / "switching.md")


def test_the_project_on_the_page_is_checked_clean(tmp_path: Path) -> None:
    for fence in (fence for fence in PAGE.fences if fence.language == "yaml"):
        path = tmp_path / fence.options["title"]
        path.parent.mkdir(exist_ok=True)
        path.write_text(fence.text)

    project = load_project(tmp_path, changes=CHANGES, gates=GATES)

    assert [migration.id for migration in project.migrations] == ["flights_to_green"]
    assert project.broken == ()
