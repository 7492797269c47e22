"""The line of PgBouncer's configuration that says where the clients' database is.

The format is that of `[databases]` in https://www.pgbouncer.org/config.html: `name = key=value key='it''s quoted'`.
"""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from crossfade.execute.errors import StepRefused

_PAIR = re.compile(r"(\w+)\s*=\s*('(?:[^']|'')*'|[^\s']\S*)")


@dataclass(frozen=True)
class Target:
    """Where a database is, as a pooler's entry says it."""

    host: str
    port: str
    dbname: str


class Entry:
    """The line of `name` in a file of PgBouncer's."""

    def __init__(self, file: Path, name: str) -> None:
        self.file = file
        self.name = name
        self._line = re.compile(
            rf"^([ \t]*(?:{re.escape(name)}|\"{re.escape(name)}\")[ \t]*=[ \t]*)(.*)$", re.MULTILINE
        )

    def target(self) -> Target:
        """Raises StepRefused when the file or the line is not there, or says no database."""
        found = {key: _unquoted(value) for key, value in _PAIR.findall(self._read()[1])}
        return Target(found.get("host", ""), found.get("port", "5432"), found.get("dbname", self.name))

    def login(self) -> dict[str, str]:
        """The user and password with which it connects, as far as the entry says."""
        return {key: _unquoted(value) for key, value in _PAIR.findall(self._read()[1]) if key in ("user", "password")}

    def point(self, target: Target) -> None:
        """Have it say that one, all else as it is; the file is replaced at once, with its owner and mode."""
        text, said = self._read()
        wanted = {"host": target.host, "port": target.port, "dbname": target.dbname}
        kept = [f"{key}={value}" for key, value in _PAIR.findall(said) if key not in wanted]
        line = " ".join([*(f"{key}={_quoted(value)}" for key, value in wanted.items() if value), *kept])
        self._write(self._line.sub(lambda found: found[1] + line, text, count=1))

    def _read(self) -> tuple[str, str]:
        try:
            text = self.file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise StepRefused(
                f"{self.file}, the pooler's list of databases, cannot be read: {reason}",
                fix="name the file that PgBouncer reads, as it is reached from here, under `pooler: {file: ...}`",
            ) from None
        found = self._line.search(text)
        if found is None:
            raise StepRefused(
                f"{self.file} has no entry {self.name}",
                fix="name the entry of `[databases]` that clients connect to under `pooler: {database: ...}`",
            )
        return text, found[2]

    def _write(self, text: str) -> None:
        was = self.file.stat()
        number, name = tempfile.mkstemp(dir=self.file.parent, prefix=f".{self.file.name}.")
        try:
            with os.fdopen(number, "w", encoding="utf-8") as new:
                new.write(text)
                new.flush()
                os.fsync(number)
            os.chmod(name, was.st_mode)
            if (was.st_uid, was.st_gid) != (os.geteuid(), os.getegid()):
                os.chown(name, was.st_uid, was.st_gid)
            os.replace(name, self.file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _unquoted(value: str) -> str:
    return value[1:-1].replace("''", "'") if value.startswith("'") else value


def _quoted(value: str) -> str:
    return value if re.fullmatch(r"[\w./:,-]+", value) else "'" + value.replace("'", "''") + "'"
