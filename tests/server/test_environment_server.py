"""A server named by the environment: used, never stopped, and its URL never shown."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from crossfade.server import EnvironmentServer, LocalServer, Server, ServerError, start
from crossfade.server.url import with_database

from .owners import ask

COUNT = "SELECT count(*) FROM pg_database WHERE datname = 'ours'"


@pytest.fixture
def named(own_server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> LocalServer:
    monkeypatch.setenv("CROSSFADE_SERVER_URL", own_server.url)
    return own_server


def test_the_server_the_environment_names_is_taken_first(named: LocalServer) -> None:
    with start() as server:
        assert server.source == "environment"
        assert server.url == named.url


def test_stopping_drops_our_databases_and_leaves_the_server_running(named: LocalServer) -> None:
    with start() as server:
        server.create_database("ours")
        assert ask(named.url, COUNT) == 1

    assert ask(named.url, COUNT) == 0


def test_a_server_for_a_data_directory_is_run_here_all_the_same(named: LocalServer, place: Path) -> None:
    with start(data_directory=place / "kept") as server:
        assert server.url != named.url


def test_it_has_no_replica(named: LocalServer) -> None:
    with start() as server, pytest.raises(ServerError, match="no replica"):
        server.replica()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://somebody:s3cr%65t@127.0.0.1:1/postgres",
        "postgresql://127.0.0.1:1/postgres?user=somebody&password=s3cret",
        "postgresql://somebody:s3cret@127.0.0.1:notaport/postgres",
        "postgresql://somebody:s3cret@[::1/postgres",
        "host=127.0.0.1 password=s3cret",
        "somebody:s3cret@127.0.0.1",
        "",
    ],
)
def test_a_wrong_url_is_one_error_that_does_not_show_the_password(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSFADE_SERVER_URL", url)

    with pytest.raises(ServerError) as refused:
        start(source="environment")

    assert "environment" in str(refused.value) or "CROSSFADE_SERVER_URL" in str(refused.value)
    assert "s3cr" not in str(refused.value)
    assert "s3cr" not in "".join(traceback.format_exception(refused.value))


def test_a_wrong_password_is_not_repeated(named: LocalServer) -> None:
    with pytest.raises(ServerError, match="authentication failed") as refused:
        EnvironmentServer(f"postgresql://postgres:s3cret@{named.url.split('@')[1]}")

    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "other"),
    [
        ("postgresql://a:b@h:1/postgres", "postgresql://a:b@h:1/other"),
        ("postgres://h", "postgres://h/other"),
        ("postgresql:///x?host=/run/pg&user=a", "postgresql:///other?host=/run/pg&user=a"),
        ("postgresql://h?dbname=x&sslmode=require", "postgresql://h/other?sslmode=require"),
    ],
)
def test_another_database_keeps_all_else_of_the_url(url: str, other: str) -> None:
    assert with_database(url, "other") == other


def test_the_url_of_a_database_with_odd_characters_leads_to_it(server: Server) -> None:
    assert server.database_url("a b/c").endswith("/a%20b%2Fc")
