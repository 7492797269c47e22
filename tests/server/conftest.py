"""A place for servers' directories, and an owner to be killed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from .owners import Owner, end, launch


@pytest.fixture
def place() -> Generator[Path]:
    """An empty directory open to every account, and short enough for a socket below it."""
    path = Path(tempfile.mkdtemp(prefix="crossfade-test-", dir="/tmp"))
    path.chmod(0o1777)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def owner(place: Path) -> Generator[Owner]:
    """A process with a server below `place`."""
    started = launch(place)
    yield started
    end(started)
