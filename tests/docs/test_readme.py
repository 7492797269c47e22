"""What the README shows is what crossfade prints."""

from __future__ import annotations

import re
from importlib import resources

from tests.docs.markdown import ROOT, Page
from tests.scene import Scene
from typer.testing import CliRunner

from crossfade.cli import app

PAGE = Page(ROOT / "README.md")


def test_the_readme_shows_what_plan_and_up_print(scene: Scene) -> None:
    spec, plan, up = (fence for fence in PAGE.fences if fence.language in ("yaml", "text"))
    sample = resources.files("crossfade.cli").joinpath("template", "sample.sql")
    scene.sql(sample.read_text())
    (scene.root / spec.options["title"]).write_text(spec.text)
    assert _missing(plan.text, _printed(scene, "plan", "normalize_emails")) == []
    assert _missing(up.text, _printed(scene, "up", "--yes")) == []


def _printed(scene: Scene, *arguments: str) -> str:
    result = CliRunner().invoke(app, ["--project", str(scene.root), *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def _missing(shown: str, printed: str) -> list[str]:
    """The lines that are shown and not printed; times and numbers of batches differ from run to run."""
    lines = [_alike(line) for line in printed.splitlines()]
    return [line for line in shown.splitlines() if not any(_alike(line) in each for each in lines)]


def _alike(line: str) -> str:
    return re.sub(r"\d+(\.\d+)? (ms|s)\b|in \d+ batches", "#", line.strip())
