"""As root and as a normal user: the server runs as an account without privileges."""

from __future__ import annotations

import os
import pwd
import shutil
import sys
from pathlib import Path

import psycopg
import pytest

from crossfade.server import ServerError, start_local
from crossfade.server.account import Account

from .owners import PACKAGE_ROOT, ask, end, launch, processes_of

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="as a normal user every other test shows it")

SITE = str(Path(psycopg.__file__).parent.parent)


@pytest.fixture
def nobody() -> Account:
    found = pwd.getpwnam("nobody")
    return Account(found.pw_name, found.pw_uid, found.pw_gid)


@pytest.fixture
def interpreter(nobody: Account) -> str:
    """A Python of this version that nobody can run, for ours may lie below /root."""
    if not shutil.which("setpriv"):
        pytest.skip("there is no setpriv to become nobody with")
    if not all(nobody.enters(Path(place)) for place in (PACKAGE_ROOT, SITE)):
        pytest.skip("nobody can enter this checkout: it lies in a private home")
    name = f"python3.{sys.version_info.minor}"
    for found in (Path(sys.executable), Path("/usr/bin", name), Path("/usr/local/bin", name)):
        if found.exists() and nobody.enters(found.resolve().parent):
            return str(found)
    pytest.skip("nobody can run no Python of this version")


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, value in (line.split(":", 1) for line in lines)}


def test_as_root_the_server_has_neither_roots_identity_nor_its_groups(place: Path) -> None:
    with start_local(parent=place) as server:
        pid = int((server.data_directory / "postmaster.pid").read_text().splitlines()[0])

        assert set(status(pid)["Uid"].split()) & {"0"} == set()
        assert set(status(pid)["Gid"].split()) & {"0"} == set()
        assert status(pid)["Groups"] == ""
        assert server.data_directory.stat().st_mode & 0o077 == 0
        assert server.data_directory.parent.stat().st_mode & 0o077 == 0


def test_as_root_the_environment_is_kept_from_the_server(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", "s3cret")
    monkeypatch.setenv("PGPORT", "1")
    with start_local(parent=place):
        for pid in processes_of(place):
            assert "s3cret" not in Path(f"/proc/{pid}/environ").read_text()


def test_a_normal_user_runs_the_server_as_itself(place: Path, interpreter: str, nobody: Account) -> None:
    drop = ("setpriv", f"--reuid={nobody.uid}", f"--regid={nobody.gid}", "--clear-groups")
    owner = launch(place, interpreter=(*drop, interpreter), path=(PACKAGE_ROOT, SITE))
    try:
        assert owner.data_directory.stat().st_uid == nobody.uid
        assert ask(owner.url, "SELECT 1") == 1
    finally:
        end(owner)
    assert owner.server_is_gone()


def test_a_data_directory_no_account_can_reach_is_a_clear_error(place: Path) -> None:
    private = place / "private"
    private.mkdir(mode=0o700)

    with pytest.raises(ServerError, match="cannot be reached by the account"):
        start_local(data_directory=private / "data")


def test_a_data_directory_stays_with_the_account_it_belongs_to(place: Path, nobody: Account) -> None:
    kept = place / "kept"
    kept.mkdir()
    os.chown(kept, nobody.uid, nobody.gid)

    with start_local(data_directory=kept) as server:
        assert (server.data_directory / "PG_VERSION").stat().st_uid == nobody.uid
