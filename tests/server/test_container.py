"""A server in a container, where a Docker engine answers (make_image.sh: where no registry is reachable)."""

from __future__ import annotations

import socket
from collections.abc import Generator
from pathlib import Path
from threading import Thread

import psycopg
import pytest

from crossfade.server import Server, ServerError, start
from crossfade.server.container import is_possible

from .owners import ask


@pytest.fixture(scope="module")
def contained() -> Generator[Server]:
    with start(source="container") as server:
        yield server


@pytest.mark.docker
@pytest.mark.slow
def test_a_container_gives_a_server_with_our_settings(contained: Server) -> None:
    assert contained.source == "container"
    assert contained.version >= 140000
    assert ask(contained.url, "SHOW wal_level") == "logical"
    assert ask(contained.url, "SHOW max_connections") == "200"


@pytest.mark.docker
@pytest.mark.slow
def test_a_container_is_taken_where_docker_answers_and_nothing_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CROSSFADE_SERVER_URL", raising=False)

    with start() as server:
        assert server.source == "container"


@pytest.mark.docker
@pytest.mark.slow
def test_databases_are_created_and_dropped_in_a_container(contained: Server) -> None:
    url = contained.create_database("flights")
    ask(url, "CREATE EXTENSION pg_stat_statements")
    assert ask(url, "SELECT count(*) > 0 FROM pg_stat_statements") is True

    contained.drop_database("flights")

    assert ask(contained.url, "SELECT count(*) FROM pg_database WHERE datname = 'flights'") == 0


@pytest.mark.docker
@pytest.mark.slow
def test_a_stopped_container_is_gone() -> None:
    server = start(source="container")

    server.stop()
    server.stop()

    with pytest.raises(psycopg.OperationalError):
        ask(server.url, "SELECT 1")


@pytest.mark.docker
def test_a_container_has_no_replica(contained: Server) -> None:
    with pytest.raises(ServerError, match="no replica"):
        contained.replica()


@pytest.mark.docker
@pytest.mark.slow
def test_an_image_that_is_not_there_is_a_clear_error_when_a_container_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CROSSFADE_POSTGRES_IMAGE", "crossfade/nowhere:0")

    with pytest.raises(ServerError, match="crossfade/nowhere:0"):
        start(source="container")


@pytest.mark.docker
@pytest.mark.slow
def test_an_image_that_is_not_there_is_no_hindrance_otherwise(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("CROSSFADE_SERVER_URL", raising=False)
    monkeypatch.setenv("CROSSFADE_POSTGRES_IMAGE", "crossfade/nowhere:0")

    with start() as server:
        assert server.source in ("binaries", "wheel")
    assert "crossfade/nowhere:0" in caplog.text


@pytest.mark.parametrize("host", ["unix:///nowhere/docker.sock", "tcp://127.0.0.1:1", "nonsense"])
def test_no_engine_is_found_out_at_once(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)

    assert not is_possible()


@pytest.mark.parametrize(("answer", "found"), [(b"HTTP/1.0 200 OK\r\n\r\nOK", True), (b"", False)])
def test_an_engine_is_whoever_answers_in_http(
    answer: bytes, found: bool, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place / "docker.sock"))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(answer)

        engine = Thread(target=serve)
        engine.start()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{place / 'docker.sock'}")

        assert is_possible() is found
        engine.join()
