"""The command line on the project of a scene."""

from __future__ import annotations

import pytest
from tests.cli.calls import Call
from tests.scene import Scene


@pytest.fixture
def call(scene: Scene) -> Call:
    """Call a command on the scene's project."""
    return Call(scene.root)


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Colours and widths of the terminal the tests are run on do not matter."""
    for name in ("FORCE_COLOR", "NO_COLOR", "COLUMNS", "CROSSFADE_PROJECT", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
