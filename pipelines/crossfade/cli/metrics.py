"""crossfade metrics: where migrations stand, for Prometheus."""

from __future__ import annotations

import threading
from typing import Annotated

import typer

from crossfade.cli.project import open_project
from crossfade.errors import UsageError


def metrics(
    ctx: typer.Context,
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Serve it at /metrics, asking the databases at each scrape, instead of printing it once.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Print where every migration stands as metrics that Prometheus reads."""
    from prometheus_client import generate_latest, start_http_server

    from crossfade.execute.status import read_status
    from crossfade.report.metrics import status_registry

    project = open_project(ctx)
    registry = status_registry(lambda: read_status(project))
    if listen is None:
        typer.echo(generate_latest(registry).decode(), nl=False)
        return
    host, port = _address(listen)
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise UsageError(f"{listen} cannot be listened on: {error.strerror}", fix="name another port") from None
    typer.echo(f"serving http://{host}:{server.server_port}/metrics")
    try:
        threading.Event().wait()
    finally:
        server.shutdown()
        thread.join()


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"{listen} is no HOST:PORT", fix="say e.g. --listen 127.0.0.1:9464")
    return host, int(port)
