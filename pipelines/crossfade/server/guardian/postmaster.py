"""One PostgreSQL server on this machine: its data directory filled, its first process started and ended."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from .home import Home
from .job import PASSWORD_FILE, Job
from .owner import Owner

START_SECONDS = 120.0
LOG_LINES = 15
# Below the range outgoing connections take their ports from: a killed server finds its port free again.
PORTS = range(20000, 32000)


class Failed(Exception):
    """A program of PostgreSQL did not do its work: what happened, and the last lines of its log."""

    def __init__(self, what: str, log: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.log = log


class Postmaster:
    """A server as its job describes it; nothing runs before `start`."""

    def __init__(self, job: Job, home: Home, owner: Owner) -> None:
        self._job = job
        self._home = home
        self._owner = owner
        self._process: subprocess.Popen[bytes] | None = None
        self._data = Path(job.data_directory) if job.data_directory else home.path / "data"
        self._log = (self._data if job.data_directory else home.path) / "server.log"
        self._port = job.port or _free_port()
        self._port_is_known = job.port is not None

    def facts(self) -> dict[str, object]:
        return {
            "pid": self._process.pid if self._process else 0,
            "port": self._port,
            "home": str(self._home.path),
            "data_directory": str(self._data),
            "log": str(self._log),
        }

    def prepare(self) -> None:
        """Fill the data directory, unless there is something in it."""
        self._data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(self._data.iterdir()):
            return
        self._home.give(self._data)
        self._data.chmod(0o700)
        if self._job.primary_port:
            self._copy_primary(self._job.primary_port)
        else:
            password = self._home.write(self._home.path / "password", self._job.scram_secret)
            self._run("initdb", "-D", str(self._data), f"--pwfile={password}", *self._job.initdb)
        if self._job.data_directory:  # written last: its absence tells of an initdb that was interrupted
            self._home.write(self._data / PASSWORD_FILE, self._job.password)

    def start(self) -> None:
        """Start, and wait until it accepts connections."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            before = self._log.stat().st_size if self._log.exists() else 0
            process = self._spawn(self._log, "postgres", "-D", str(self._data), *self._options())
            self._process = process
            while process.poll() is None:
                if self._is_ready(process.pid):
                    self._port_is_known = True  # a restart must not change the URL
                    return
                if time.monotonic() > deadline:
                    self.stop()
                    raise Failed(f"it was not ready after {START_SECONDS:.0f} seconds", _tail(self._log, before))
                self._owner.watch(0.005)
            said = _tail(self._log, before)
            if time.monotonic() < deadline and "pre-existing shared memory block" in said:
                self._owner.watch(0.1)  # processes of a killed postmaster are still ending
            elif time.monotonic() < deadline and "Address already in use" in said and not self._port_is_known:
                self._port = _free_port()
            else:
                raise Failed("it ended while starting", said)

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """Shut it down: fast, then immediately, then by force."""
        patience = 60.0 if self._job.data_directory else 10.0
        for signum, seconds in ((signal.SIGINT, patience), (signal.SIGQUIT, 10.0), (signal.SIGKILL, None)):
            if self._process and self._process.poll() is None:
                self._process.send_signal(signum)
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(seconds)

    def forget(self) -> None:
        """After a kill with no restart: free the shared memory that would outlive a temporary directory."""
        with suppress(FileNotFoundError, IndexError, ValueError):
            key_and_id = (self._data / "postmaster.pid").read_text().splitlines()[6].split()
            _library.shmctl(int(key_and_id[1]), 0, None)  # 0 is IPC_RMID

    def _copy_primary(self, port: int) -> None:
        passwords = f"127.0.0.1:{port}:*:postgres:{self._job.password}\n"
        passfile = self._home.write(self._home.path / "passfile", passwords)
        primary = f"host=127.0.0.1 port={port} user=postgres passfile={passfile}"
        options = ("--write-recovery-conf", "--checkpoint=fast", "--no-sync", f"--dbname={primary}")
        self._run("pg_basebackup", f"--pgdata={self._data}", *options)

    def _options(self) -> list[str]:
        settings = {
            **self._job.settings,
            "port": str(self._port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self._home.socket),
        }
        return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]

    def _is_ready(self, pid: int) -> bool:
        """By postmaster.pid: line 1 is the process (a crash leaves an old file), line 8 its state."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"

    def _run(self, program: str, *arguments: str) -> None:
        log = self._home.path / f"{program}.log"
        process = self._spawn(log, program, *arguments)
        try:
            while process.poll() is None:
                self._owner.watch(0.01)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)  # both programs then remove what they made
                process.wait()
        if process.returncode != 0:
            raise Failed(f"{program} ended with exit code {process.returncode}", _tail(log))

    def _spawn(self, log: Path, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        uid, gid = self._job.account or (None, None)
        home = str(self._home.path)
        environment = {"PATH": os.environ.get("PATH", os.defpath)}
        # Its own libraries first: modules of a build that was moved look for libpq where the machine's is, which may be
        # too old for them.
        own = str(Path(self._job.bindir).parent / "lib")
        for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"):
            environment[name] = os.pathsep.join(filter(None, (own, os.environ.get(name))))
        # English messages, for we read them; UTC, for otherwise initdb searches all time zones.
        environment |= {"LC_ALL": "C", "TZ": "UTC", "HOME": home}
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        self._home.give(log)
        try:
            return subprocess.Popen(
                [Path(self._job.bindir, program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=home,
                env=environment,
                user=uid,
                group=gid,
                extra_groups=[] if self._job.account else None,
                pass_fds=(self._home.lock,),
                preexec_fn=_follow_guardian,
            )
        except OSError as error:
            raise Failed(f"{program} cannot be run: {error}") from None
        finally:
            os.close(output)


_guardian = os.getpid()
_library = ctypes.CDLL(None)


def _follow_guardian() -> None:
    """In the child, after its change of account, which would undo it: end when the guardian dies."""
    if sys.platform == "linux":
        _library.prctl(1, int(signal.SIGINT), 0, 0, 0)  # 1 is PR_SET_PDEATHSIG
        if os.getppid() != _guardian:
            os._exit(1)


def _free_port() -> int:
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _tail(log: Path, offset: int = 0) -> str:
    with log.open("rb") as file:
        file.seek(offset)
        return "\n".join(file.read().decode(errors="replace").splitlines()[-LOG_LINES:])
