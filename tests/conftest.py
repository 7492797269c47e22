"""What all tests share: one PostgreSQL server a run, fresh databases on it, and servers of one's own.

With pytest-xdist the controller starts the server and hands its URL to the workers; without, the first test
that needs it does. It ends with the run, also when pytest is killed.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.scene import Scene
from tests.usage.counted import Counted

from crossfade.server import (
    EnvironmentServer,
    LocalServer,
    Server,
    ServerError,
    create_database,
    drop_database,
    start,
    start_local,
)
from crossfade.server.container import is_possible

MEMORY = Path("/dev/shm")
MEMORY_BYTES = 4 * 2**30

Databases = Callable[..., tuple[str, ...]]

run_server = pytest.StashKey[Server]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "browser: needs Chromium, skipped where there is none; `make browser`")
    config.addinivalue_line("markers", "deploy: processes of a whole deployment, for minutes; `make deploy-test`")
    config.addinivalue_line("markers", "docker: needs a Docker engine; skipped where none answers")
    config.addinivalue_line("markers", "slow: takes seconds")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    wanting = [item for item in items if item.get_closest_marker("docker")]
    if wanting and not is_possible():
        for item in wanting:
            item.add_marker(pytest.mark.skip(reason="no Docker engine answers"))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """In the controller of pytest-xdist, for each worker before it starts."""
    try:
        node.workerinput["server_url"] = shared_server(node.config).url
    except ServerError as error:
        node.workerinput["server_error"] = str(error)


def pytest_unconfigure(config: pytest.Config) -> None:
    if server := config.stash.get(run_server, None):
        server.stop()


def shared_server(config: pytest.Config) -> Server:
    """The server of the run, started by the first call in this process."""
    if run_server not in config.stash:
        config.stash[run_server] = server = start(parent=fast_directory())
        # The first session in a database caches there what each needs of the catalog; a copy has it from the beginning.
        psycopg.connect(server.database_url("template1")).close()
    return config.stash[run_server]


def fast_directory() -> Path | None:
    """Memory, where there is plenty: a database is created there in 10 ms instead of up to 200."""
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= MEMORY_BYTES
    return MEMORY if roomy and os.access(MEMORY, os.W_OK) else None


@pytest.fixture(scope="session")
def server(pytestconfig: pytest.Config) -> Generator[Server]:
    """The server all tests of the run share; databases are one's own, roles and settings are everybody's."""
    worker: dict[str, str] | None = getattr(pytestconfig, "workerinput", None)
    if worker is None:
        yield shared_server(pytestconfig)
    elif url := worker.get("server_url"):
        with EnvironmentServer(url) as shared:
            yield shared
    else:
        pytest.fail(worker["server_error"], pytrace=False)


@pytest.fixture(scope="module")  # as wide as a module may have a server of its own
def administrator(server: Server) -> Generator[psycopg.Connection]:
    """The session that creates and drops databases: to open one for each costs more than to copy the database."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def databases(server: Server, administrator: psycopg.Connection) -> Generator[Databases]:
    """Called with names, it creates a fresh database for each and returns their URLs in that order."""
    with ExitStack() as created:

        def create(*names: str, template: str | None = None) -> tuple[str, ...]:
            urls: list[str] = []
            for name in names:
                unique = f"{name[:40]}_{uuid.uuid4().hex[:12]}"
                create_database(administrator, unique, template=template)
                created.callback(drop_database, administrator, unique)
                urls.append(server.database_url(unique))
            return tuple(urls)

        yield create


@pytest.fixture
def database(databases: Databases) -> str:
    """The URL of a fresh, empty database."""
    (url,) = databases("test")
    return url


@pytest.fixture
def own_server() -> Generator[LocalServer]:
    """A server of this test's own, to be killed, restarted, replicated or filled with roles."""
    with start_local(parent=fast_directory()) as own:
        yield own


@pytest.fixture
def scene(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Generator[Scene]:
    """A project over one fresh database, `app`."""
    made = Scene(tmp_path, {"app": database}, monkeypatch.setenv)
    yield made
    made.close()


@pytest.fixture(scope="session")
def counting_server() -> Generator[LocalServer]:
    """A server with pg_stat_statements that no other test runs statements on, nor resets."""
    # Room for every statement of every test: none may push out another one's.
    settings = {"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.max": "50000"}
    with start_local(parent=fast_directory(), settings=settings) as server:
        yield server


@pytest.fixture
def counted(counting_server: LocalServer) -> Generator[Counted]:
    made = Counted(counting_server)
    yield made
    made.close()
