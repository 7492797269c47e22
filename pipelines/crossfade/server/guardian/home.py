"""The private temporary directory of one server, and how it is removed.

Its lock file is inherited by every process of the server: a free lock means that none of them is left.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path

PREFIX = "crossfade-server-"
STALE_SECONDS = 60.0


class Home:
    """Lock, socket directory, logs, passwords, and the data directory if it is not to be kept.

    parent: the directory to make it in, short enough for a socket's path (107 bytes).
    account: (uid, gid) the server runs as, or None for our own.
    """

    def __init__(self, parent: str, account: tuple[int, int] | None) -> None:
        _remove_stale(Path(parent), {os.geteuid(), account[0] if account else os.geteuid()})
        self._account = account
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        self.lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.socket = self.path / "socket"
        self.socket.mkdir(mode=0o700)
        self.give(self.socket)
        self.give(self.path)

    def give(self, path: Path) -> None:
        """Make a file or directory the property of the server's account."""
        if self._account:
            os.chown(path, *self._account, follow_symlinks=False)

    def write(self, path: Path, text: str) -> Path:
        """A new file only the server's account can read."""
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        self.give(path)
        return path

    def remove(self) -> None:
        """Let go of the lock and remove everything, once no process of the server is left."""
        os.close(self.lock)
        remove(self.path)


def remove(home: Path, seconds: float = 30.0) -> None:
    """Remove a server's temporary directory when no process of it is left, or after `seconds` anyway."""
    deadline = time.monotonic() + seconds
    while is_locked(home) and time.monotonic() < deadline:
        time.sleep(0.01)
    shutil.rmtree(home, ignore_errors=True)


def is_locked(home: Path) -> bool:
    """Whether its guardian or a process of its server still lives."""
    try:
        lock = os.open(home / "lock", os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _remove_stale(parent: Path, owners: set[int]) -> None:
    """Remove what is left where guardian and owner were killed together, as at the end of a container."""
    for home in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):
            found = home.lstat()
            settled = time.time() - found.st_mtime > STALE_SECONDS  # a younger one may not be locked yet
            if stat.S_ISDIR(found.st_mode) and found.st_uid in owners and settled and not is_locked(home):
                shutil.rmtree(home, ignore_errors=True)
