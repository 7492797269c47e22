"""Scenes that the tests of a module share, each with a database of its own."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from itertools import count

import pytest
from tests.scene import Scene

from crossfade.server import Server

_numbers = count(1)


@contextmanager
def shared_scenes(server: Server, factory: pytest.TempPathFactory) -> Generator[Callable[[], Scene]]:
    with ExitStack() as stack:
        environment = stack.enter_context(pytest.MonkeyPatch.context())

        def new_scene() -> Scene:
            # A name of its own, for the URL stands in an environment variable of that name.
            name = f"shared{next(_numbers)}"
            database = f"{name}_{uuid.uuid4().hex[:12]}"
            url = server.create_database(database)
            stack.callback(server.drop_database, database)
            made = Scene(factory.mktemp(name), {name: url}, environment.setenv)
            stack.callback(made.close)
            return made

        yield new_scene
