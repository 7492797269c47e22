"""Plans of many specs on one small database."""

from __future__ import annotations

from collections.abc import Callable, Generator

import pytest
from tests.changes.life import spec
from tests.scene import Scene
from tests.steps.scenes import shared_scenes

from crossfade.plan import Plan
from crossfade.server import Server

Planning = Callable[..., Plan]


@pytest.fixture(scope="module")
def planning(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Generator[Planning]:
    """The plan of a spec with these changes and this more; nothing is run."""
    with shared_scenes(server, tmp_path_factory) as new_scene:
        scene: Scene = new_scene()
        scene.sql("CREATE TABLE items (id int PRIMARY KEY, code text); CREATE INDEX by_code ON items (code)")

        def plan(*changes: str, more: str = "") -> Plan:
            spec(scene, *changes, more=more)
            return scene.runner().plan(scene.migration())

        yield plan
