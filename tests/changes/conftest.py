"""Changes lived through once a module, and looked at by many tests."""

from __future__ import annotations

from collections.abc import Callable, Generator

import pytest
from tests.changes.life import Lived, whole_way
from tests.scene import Scene
from tests.steps.scenes import shared_scenes

from crossfade.server import Server

# schema and changes: the scene in the end, and its schema then.
Live = Callable[..., Lived]


@pytest.fixture(scope="module")
def shared_scene(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Generator[Callable[[], Scene]]:
    with shared_scenes(server, tmp_path_factory) as new_scene:
        yield new_scene


@pytest.fixture(scope="module")
def live(shared_scene: Callable[[], Scene]) -> Live:
    def live(schema: str, *changes: str, more: str = "") -> Lived:
        return whole_way(shared_scene(), schema, *changes, more=more)

    return live
