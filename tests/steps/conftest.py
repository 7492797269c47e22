"""A table in transition, shared by the tests of a module: each test writes rows of its own."""

from __future__ import annotations

from collections.abc import Callable, Generator

import pytest
from tests.scene import Scene
from tests.steps.scenes import shared_scenes

from crossfade.server import Server

# schema, changes, and the leg to go through: the scene as it is then.
Begin = Callable[..., Scene]


@pytest.fixture(scope="module")
def begin(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Generator[Begin]:
    with shared_scenes(server, tmp_path_factory) as new_scene:

        def begin(schema: str, *changes: str, through: str = "expand") -> Scene:
            made = new_scene()
            made.sql(schema)
            made.spec("changes:\n" + "".join(f"  - {change}\n" for change in changes))
            assert made.up(through=through).ended == "reached"
            return made

        yield begin
