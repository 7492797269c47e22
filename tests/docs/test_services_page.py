"""docs/services.md: its migration over three databases is run, and refuses in the words of the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import Databases
from tests.docs.markdown import DOCS, Page
from tests.saga.place import NAMES, make_tables
from tests.scene import Scene

from crossfade.execute import LockBudgetExceeded

SPEC, REFUSAL = Page(DOCS / "services.md").fences


@pytest.fixture
def services(tmp_path: Path, databases: Databases, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    scene = Scene(tmp_path, dict(zip(NAMES, databases(*NAMES), strict=True)), monkeypatch.setenv)
    make_tables(scene)
    (scene.root / "migration_specs" / "0012_badges.yaml").write_text(SPEC.text)
    yield scene
    scene.close()


def test_a_phase_that_one_refuses_is_taken_back_in_the_others_as_the_page_says(services: Scene) -> None:
    with services.connect("fleet") as application:
        application.execute("BEGIN")
        application.execute("SELECT FROM planes")

        with pytest.raises(LockBudgetExceeded) as refused:
            services.up(id="badges")

    said = "\n".join(str(problem) for problem in refused.value.problems)
    assert _without_figures(said) == _without_figures(REFUSAL.text.strip())
    assert services.up(id="badges").ended == "complete"


def _without_figures(said: str) -> str:
    return re.sub(r"\d+", "N", said)
