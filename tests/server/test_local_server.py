"""A server run here: started, kept, killed, restarted, refused."""

from __future__ import annotations

import socket
from pathlib import Path
from threading import Event, Thread

import psycopg
import pytest

from crossfade.server import LocalServer, ServerError, start, start_local
from crossfade.server.binaries import Kind

from .owners import ask, processes_of

KINDS: tuple[Kind, ...] = ("binaries", "wheel")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


def shared_memory() -> list[list[str]]:
    """Key and id of each System V segment on the machine."""
    return [line.split()[:2] for line in Path("/proc/sysvipc/shm").read_text().splitlines()]


@pytest.fixture
def kept(place: Path) -> Path:
    return place / "kept"


def test_binaries_and_wheel_both_give_a_server(kind: Kind, place: Path) -> None:
    with start(source=kind, parent=place) as server:
        assert server.source == kind
        assert server.version >= 140000
        assert ask(server.url, "SELECT current_user || '@' || current_database()") == "postgres@postgres"


def test_stop_leaves_neither_processes_nor_directory_and_may_be_repeated(place: Path) -> None:
    server = start_local(parent=place)
    assert processes_of(place)

    server.stop()
    server.stop()

    assert not processes_of(place)
    assert not list(place.iterdir())


def test_its_own_libraries_are_found_before_the_machines(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    with start_local(parent=place) as server:
        postmaster = Path(server.data_directory, "postmaster.pid").read_text().split()[0]
        environment = Path("/proc", postmaster, "environ").read_text().split("\0")

    (path,) = (line.removeprefix("LD_LIBRARY_PATH=") for line in environment if line.startswith("LD_LIBRARY_PATH="))
    assert path.endswith(f"/lib:{tmp_path}")


def test_two_servers_run_at_once(own_server: LocalServer, place: Path) -> None:
    with start_local(parent=place) as other:
        other.create_database("only_here")

        assert ask(own_server.url, "SELECT count(*) FROM pg_database WHERE datname = 'only_here'") == 0
        assert own_server.url != other.url


def test_settings_are_ours_for_tests_and_the_callers_over_them(place: Path) -> None:
    with start_local(parent=place, settings={"max_connections": "17"}) as server:
        assert ask(server.url, "SHOW max_connections") == "17"
        assert ask(server.url, "SHOW wal_level") == "logical"
        assert ask(server.url, "SHOW fsync") == "off"


def test_statement_statistics_are_loaded(kind: Kind, place: Path) -> None:
    with start_local(kind, parent=place) as server:
        ask(server.url, "CREATE EXTENSION pg_stat_statements")

        assert ask(server.url, "SELECT count(*) > 0 FROM pg_stat_statements") is True


def test_other_accounts_do_not_get_in_without_the_password(own_server: LocalServer) -> None:
    password = own_server.url.split(":")[2].split("@")[0]
    for guess in ("", "postgres"):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(own_server.url.replace(password, guess))


def test_the_unix_socket_asks_for_the_password_too(own_server: LocalServer) -> None:
    sockets = own_server.data_directory.parent / "socket"
    port = own_server.url.split(":")[3].split("/")[0]

    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(host=str(sockets), port=port, user="postgres", dbname="postgres")


def test_a_kept_directory_gives_back_its_rows_at_the_next_start(kept: Path) -> None:
    with start_local(data_directory=kept) as first:
        ask(first.url, "CREATE TABLE flight AS SELECT 7 AS id")
        assert ask(first.url, "SHOW fsync") == "on"

    with start_local(data_directory=kept) as second:
        assert second.data_directory == kept
        assert ask(second.url, "SELECT id FROM flight") == 7
    assert not processes_of(kept)


def test_a_kept_directory_stays_with_the_binaries_that_made_it(kept: Path, kind: Kind) -> None:
    with start_local(kind, data_directory=kept) as first:
        version = first.version

    with start_local(data_directory=kept) as second:
        assert second.version == version


def test_a_kept_directory_in_use_is_refused_with_postgresqls_words(kept: Path) -> None:
    with start_local(data_directory=kept):
        with pytest.raises(ServerError) as refused:
            start_local(data_directory=kept)

        assert "postmaster.pid" in str(refused.value)


def test_a_directory_of_somebody_else_is_refused_and_untouched(kept: Path) -> None:
    kept.mkdir()
    (kept / "letter").write_text("dear")

    with pytest.raises(ServerError, match="neither empty nor"):
        start_local(data_directory=kept)

    assert [path.name for path in kept.iterdir()] == ["letter"]


def test_a_failed_start_shows_the_log_and_leaves_nothing(place: Path) -> None:
    with pytest.raises(ServerError, match="shared_buffers"):
        start_local(parent=place, settings={"shared_buffers": "many"})

    assert not list(place.iterdir())


def test_a_port_that_is_taken_is_an_error_only_when_it_was_asked_for(place: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()

        with pytest.raises(ServerError, match="Address already in use"):
            start_local(parent=place, port=taken.getsockname()[1])


def test_a_restart_after_a_kill_keeps_every_committed_row(own_server: LocalServer) -> None:
    ask(own_server.url, "CREATE TABLE number (n int)")
    committed: list[int] = []
    enough = Event()

    def write() -> None:
        try:
            with psycopg.connect(own_server.url, autocommit=True) as connection:
                while True:
                    connection.execute("INSERT INTO number VALUES (%s)", [len(committed)])
                    committed.append(len(committed))
                    if len(committed) == 500:
                        enough.set()
        except psycopg.OperationalError:
            return

    for _ in range(3):
        enough.clear()
        ask(own_server.url, "TRUNCATE number")
        committed.clear()
        writer = Thread(target=write)
        writer.start()
        assert enough.wait(30)
        own_server.kill()
        writer.join()
        own_server.restart()

        assert ask(own_server.url, f"SELECT count(*) FROM number WHERE n < {len(committed)}") == len(committed)


def test_a_killed_server_answers_at_the_same_url_after_a_restart(own_server: LocalServer) -> None:
    url = own_server.url
    own_server.kill()
    with pytest.raises(psycopg.OperationalError):
        ask(url, "SELECT 1")

    own_server.restart()

    assert own_server.url == url
    assert ask(url, "SELECT 1") == 1


def test_a_restart_that_cannot_have_its_port_back_is_an_error_and_a_later_one_works(
    own_server: LocalServer,
) -> None:
    own_server.kill()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", int(own_server.url.split(":")[3].split("/")[0])))
        taken.listen()
        with pytest.raises(ServerError, match="Address already in use"):
            own_server.restart()

    own_server.restart()

    assert ask(own_server.url, "SELECT 1") == 1


def test_a_killed_server_can_be_stopped_and_leaves_no_shared_memory(place: Path) -> None:
    server = start_local(parent=place)
    memory = (server.data_directory / "postmaster.pid").read_text().splitlines()[6].split()
    assert memory in shared_memory()
    server.kill()

    server.stop()

    assert not list(place.iterdir())
    assert memory not in shared_memory()


def test_a_source_nobody_knows_is_refused() -> None:
    with pytest.raises(ServerError, match="no source moon"):
        start(source="moon")
