"""A copy of binaries the server's account cannot reach, as those in a virtualenv below /root."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path

from .account import Account
from .errors import ServerError

CACHES = (Path("/var/cache"), Path("/var/tmp"))  # noqa: S108 (what lies there is verified)


def mirror(root: Path, parts: Iterable[Path], *, key: Path, account: Account) -> Path:
    """Copy `parts` of `root`, keeping their places, and return the root of the copy.

    It is made once for each state of the file `key`. Parallel processes may do it at once: each
    copies beside the place and renames, and the first one wins.

    Raises ServerError when no cache directory can be written, or when what lies there is not surely ours.
    """
    found = key.stat()
    state = f"{key.resolve()}:{found.st_mtime_ns}:{found.st_size}"
    name = f"crossfade-postgresql-{os.geteuid()}-{hashlib.sha256(state.encode()).hexdigest()[:16]}"
    for cache in CACHES:
        if not (os.access(cache, os.W_OK) and account.enters(cache)):
            continue
        place = cache / name
        if not place.exists():
            _copy(root, parts, place)
        _verify(place)
        return place
    raise ServerError(
        f"the account {account.name} cannot reach the PostgreSQL below {root}",
        why=f"a copy for it fits in none of {', '.join(map(str, CACHES))}",
        fix="install PostgreSQL, or the virtualenv, where every account can read it",
    )


def _copy(root: Path, parts: Iterable[Path], place: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=f"{place.name}-", dir=place.parent) as temporary:
        copy = Path(temporary) / "copy"
        for part in parts:
            shutil.copytree(part, copy / part.relative_to(root), symlinks=True)
        for path in (copy, *copy.rglob("*")):
            if not path.is_symlink():
                executable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
                path.chmod(0o755 if executable else 0o644)
        try:
            copy.rename(place)
        except OSError:
            if not place.exists():  # else another process was first
                raise


def _verify(place: Path) -> None:
    """We are about to run it: it must be ours, and nobody else's to write."""
    found = place.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise ServerError(
            f"{place} is not a copy of PostgreSQL we made",
            why="it belongs to another account, or others can write to it; what lies there would be run",
            fix="remove it",
        )
