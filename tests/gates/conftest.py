from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from tests.gates.asking import Desk

from crossfade.ledger import install


@pytest.fixture
def desk(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Desk]:
    """A fresh database with a ledger, and an empty project beside it."""
    monkeypatch.setenv("PROFILE_URL", database)
    desk = Desk(database, "PROFILE_URL", tmp_path)
    with desk.connection:
        install(desk.connection)
        yield desk
