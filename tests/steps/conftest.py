"""A table in transition, shared by the tests of a module: each test writes rows of its own."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Generator
from contextlib import ExitStack
from itertools import count

import pytest
from tests.scene import Scene

from crossfade.server import Server

# schema, changes, and the leg to go through: the scene as it is then.
Begin = Callable[..., Scene]

_numbers = count(1)


@pytest.fixture(scope="module")
def begin(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Generator[Begin]:
    with ExitStack() as stack:
        environment = stack.enter_context(pytest.MonkeyPatch.context())

        def begin(schema: str, *changes: str, through: str = "expand") -> Scene:
            name = f"steps{next(_numbers)}"
            database = f"{name}_{uuid.uuid4().hex[:12]}"
            url = server.create_database(database)
            stack.callback(server.drop_database, database)
            made = Scene(tmp_path_factory.mktemp(name), {name: url}, environment.setenv)
            stack.callback(made.close)
            made.sql(schema)
            made.spec("changes:\n" + "".join(f"  - {change}\n" for change in changes))
            assert made.up(through=through).ended == "reached"
            return made

        yield begin
