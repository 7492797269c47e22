"""A server in a container, through testcontainers, where a Docker engine answers."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .errors import ServerError
from .password import new_password
from .server import Server

if TYPE_CHECKING:
    from testcontainers.community.postgres import PostgresContainer

VARIABLE = "CROSSFADE_POSTGRES_IMAGE"
IMAGE = "postgres:17"
SOCKET = "/var/run/docker.sock"
PROBE_SECONDS = 1.0
SETTINGS = {
    "max_connections": "200",
    "wal_level": "logical",
    "jit": "off",
    "fsync": "off",
    "shared_preload_libraries": "pg_stat_statements",
}


class ContainerServer(Server):
    """A server in a container of its own; `stop` removes the container.

    After a kill -9 of this process the container is removed by testcontainers' own reaper, unless that is
    switched off (TESTCONTAINERS_RYUK_DISABLED).
    """

    def __init__(self, container: PostgresContainer) -> None:
        self._container: PostgresContainer | None = container
        try:
            super().__init__(container.get_connection_url(), "container")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        container, self._container = self._container, None
        if container:
            container.stop()


def is_possible() -> bool:
    """Whether a Docker engine answers, asked for a second at most, and testcontainers is installed."""
    return _engine_answers() and find_spec("testcontainers") is not None


def start_container(settings: Mapping[str, str] | None = None) -> ContainerServer:
    """Start a server in a container made from the image CROSSFADE_POSTGRES_IMAGE (postgres:17).

    settings: of postgresql.conf, over ours.

    Raises ServerError when testcontainers is missing, the image cannot be had, or the server does not start.
    """
    try:
        from testcontainers.community.postgres import PostgresContainer
    except ImportError:
        raise ServerError("testcontainers is not installed", fix="install it, or let another source be taken") from None
    image = os.environ.get(VARIABLE, IMAGE)
    options = (SETTINGS | dict(settings or {})).items()
    password = new_password()
    container: PostgresContainer | None = None
    try:
        container = PostgresContainer(image, username="postgres", password=password, dbname="postgres", driver=None)
        container.with_command([part for name, value in options for part in ("-c", f"{name}={value}")])
        container.start()
    except Exception as error:  # Docker's, its transport's and testcontainers' errors have no root in common
        with suppress(Exception):
            if container:
                container.stop()
        raise ServerError(
            f"no container could be started from the image {image}",
            why=str(error),
            fix=f"set {VARIABLE} to an image the engine has or can pull; if it is testcontainers' reaper "
            "that cannot be pulled, set TESTCONTAINERS_RYUK_DISABLED=true",
        ) from None
    return ContainerServer(container)


def _engine_answers() -> bool:
    """Ask for /_ping ourselves: the library takes 0.2 s to find that there is no engine."""
    address = os.environ.get("DOCKER_HOST", f"unix://{SOCKET}")
    parts = urlsplit(address)
    unix = parts.scheme == "unix"
    try:
        with socket.socket(socket.AF_UNIX if unix else socket.AF_INET) as connection:
            connection.settimeout(PROBE_SECONDS)
            connection.connect(parts.path if unix else (parts.hostname or "", parts.port or 2375))
            connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return connection.recv(64).startswith(b"HTTP/")  # also that it wants TLS
    except OSError:
        return False
