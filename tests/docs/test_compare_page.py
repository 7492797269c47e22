"""The calls of docs/compare.md print what the page says."""

from __future__ import annotations

import shlex

from tests.docs.markdown import DOCS, Page
from tests.scene import Scene
from typer.testing import CliRunner

from crossfade.cli import app

PAGE = Page(DOCS / "compare.md")


def test_each_call_prints_what_the_page_shows(scene: Scene) -> None:
    for fence in PAGE.fences:
        if fence.language == "sql":
            scene.sql(fence.text)
            continue
        _, *calls = fence.text.split("$ crossfade ")
        for call in calls:
            line, _, shown = call.partition("\n")
            assert CliRunner().invoke(app, ["--project", str(scene.root), *shlex.split(line)]).stdout == shown
