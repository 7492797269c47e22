"""What an owner asks a guardian to run."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace

PASSWORD_FILE = "crossfade.password"  # noqa: S105 (its name, not a password)


@dataclass(frozen=True)
class Job:
    """One server to be started.

    account: (uid, gid) the server runs as, or None for our own.
    parent: the directory in which the temporary directory is made.
    data_directory: kept afterwards, initialized when empty; None for a temporary one.
    scram_secret: of the password, as PostgreSQL stores it.
    initdb: its arguments, but for the directory and the password.
    primary_port: of the server on this machine to be a streaming replica of; None for a primary.
    port: TCP port on 127.0.0.1, or None for any free one.
    """

    bindir: str
    account: tuple[int, int] | None
    parent: str
    data_directory: str | None
    password: str
    scram_secret: str
    initdb: tuple[str, ...]
    settings: dict[str, str]
    primary_port: int | None
    port: int | None

    def copied(self, port: int) -> Job:
        """The job of a temporary streaming replica of this server, which listens on `port`."""
        return replace(self, data_directory=None, primary_port=port, port=None)

    def dump(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str) -> Job:
        fields = json.loads(text)
        uid_gid = fields["account"]
        return cls(**fields | {"account": (uid_gid[0], uid_gid[1]) if uid_gid else None})
