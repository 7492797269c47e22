"""The operating system account a server runs as: PostgreSQL refuses to run as root."""

from __future__ import annotations

import os
import pwd
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .errors import ServerError

NAMES = ("postgres", "nobody")


@dataclass(frozen=True)
class Account:
    """An unprivileged account that exists; uid and gid as the system knows it."""

    name: str
    uid: int
    gid: int

    def enters(self, directory: Path) -> bool:
        """Whether it may enter the directory and all above it, by their permission bits."""
        directory = directory.resolve()
        return all(self._may_enter(path.stat()) for path in (directory, *directory.parents))

    def _may_enter(self, found: os.stat_result) -> bool:
        if found.st_uid == self.uid:
            return bool(found.st_mode & stat.S_IXUSR)
        if found.st_gid == self.gid:
            return bool(found.st_mode & stat.S_IXGRP)
        return bool(found.st_mode & stat.S_IXOTH)


def unprivileged(data_directory: Path | None = None) -> Account | None:
    """The account to drop to, or None when we are not root and a server runs as ourselves.

    data_directory: one that exists keeps the account it belongs to.

    Raises ServerError when root finds no account to drop to.
    """
    if os.geteuid() != 0:
        return None
    if data_directory and data_directory.exists() and (uid := data_directory.stat().st_uid):
        return Account(f"uid {uid}", uid, data_directory.stat().st_gid)
    for name in NAMES:
        with suppress(KeyError):
            found = pwd.getpwnam(name)
            return Account(found.pw_name, found.pw_uid, found.pw_gid)
    raise ServerError(
        "there is no account to run PostgreSQL as",
        why="PostgreSQL refuses to run as root, and neither postgres nor nobody exists here",
        fix="create one (useradd --system postgres), or run as a normal user",
    )
