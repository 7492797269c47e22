from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from tests.compare.asking import Compared
from tests.conftest import Databases
from tests.scene import Scene


@pytest.fixture
def two(tmp_path: Path, databases: Databases, monkeypatch: pytest.MonkeyPatch) -> Generator[Compared]:
    """A project over two fresh databases, `a` and `b`."""
    scene = Scene(tmp_path, dict(zip("ab", databases("a", "b"), strict=True)), monkeypatch.setenv)
    yield Compared(scene)
    scene.close()
