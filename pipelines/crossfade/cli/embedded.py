"""Databases that crossfade runs itself, so that a new project works before anybody has set up a server.

`crossfade init` writes .crossfade/embedded.yaml; only there, and only for a variable that is not set, a PostgreSQL is
started when a command needs it and stopped when the command ends. That folder is not under version control, so on
any other machine a forgotten variable stays an error and never means an empty database.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import psycopg
from pydantic import Field

from crossfade.cli.terminal import err
from crossfade.errors import Problem
from crossfade.server import EnvironmentServer, Server, ServerError, start
from crossfade.server.guardian.job import PASSWORD_FILE
from crossfade.spec import SpecError, SpecModel, read_document
from crossfade.spec.validation import validated


class Embedded(SpecModel):
    """What .crossfade/embedded.yaml says; paths are relative to its folder."""

    data: Path = Field(description="The data directory of the server.")
    databases: dict[str, Path] = Field(description="Variable -> the SQL its database begins with.")


@contextmanager
def embedded_databases(path: Path) -> Generator[None]:
    """Set the variables that the file at `path` names and nobody has set, for as long as this lasts.

    Raises ServerError when the server cannot be started.
    """
    problems: list[Problem] = []
    wanted = validated(Embedded, read_document(path), (), problems, page="docs/language.md#databases")
    if wanted is None:
        raise SpecError.sorted(problems)
    folder = path.parent
    unset = {name: folder / sample for name, sample in wanted.databases.items() if not os.environ.get(name)}
    if not unset:
        yield
        return
    with _server(folder / wanted.data, unset) as urls:
        os.environ.update(urls)
        try:
            yield
        finally:
            for variable in urls:
                del os.environ[variable]


@contextmanager
def _server(data: Path, samples: Mapping[str, Path]) -> Generator[dict[str, str]]:
    """The URL of each variable's database, on the server of another command while that lasts, else on one of our own.

    Two locks beside the data directory: one is held while it is decided whose the server is, the other shared by all
    who use it. Whoever started it ends it, when nobody uses it any more.
    """
    with _lock_file(data, "turn") as turn, _lock_file(data, "users") as users:
        fcntl.flock(turn, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_SH)
        if (shared := _shared(data)) is not None:
            urls = _urls(shared, samples)
            fcntl.flock(turn, fcntl.LOCK_UN)
            yield urls
            return
        if not data.exists():
            err().print(f"starting a PostgreSQL of this project's own in {data}", soft_wrap=True)
        with start(data_directory=data) as own:
            urls = _urls(own, samples)
            fcntl.flock(turn, fcntl.LOCK_UN)
            try:
                yield urls
            finally:
                fcntl.flock(turn, fcntl.LOCK_EX)
                fcntl.flock(users, fcntl.LOCK_EX)


def _lock_file(data: Path, purpose: str) -> IO[bytes]:
    return data.with_name(f"{data.name}.{purpose}").open("wb")


def _shared(data: Path) -> Server | None:
    """The server that runs on the data directory, if one does; it is left running."""
    with suppress(OSError, IndexError, ServerError):
        port = (data / "postmaster.pid").read_text().splitlines()[3]
        password = (data / PASSWORD_FILE).read_text()
        return EnvironmentServer(f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres")
    return None


def _urls(server: Server, samples: Mapping[str, Path]) -> dict[str, str]:
    return {variable: _database(server, variable, sample) for variable, sample in samples.items()}


def _database(server: Server, variable: str, sample: Path) -> str:
    """The URL of the variable's database; made from its sample when it is first asked for."""
    name = variable.lower()
    with psycopg.connect(server.url) as connection:
        exists = connection.execute("SELECT true FROM pg_database WHERE datname = %s", (name,)).fetchone()
    if exists:
        return server.database_url(name)
    script = sample.read_bytes()
    url = server.create_database(name)
    try:
        with psycopg.connect(url) as connection:
            connection.execute(script)
    except BaseException:
        server.drop_database(name)
        raise
    return url
