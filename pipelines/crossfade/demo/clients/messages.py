"""What the demo and the process of its clients tell each other: one JSON object a line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict


class Message(BaseModel):
    """Frozen, compared by value."""

    model_config = ConfigDict(frozen=True)


class Version(Message):
    """A version of a service's program, as it is deployed; so many instances of it run."""

    service: Literal["flights", "fleet"]
    number: int
    instances: int

    def __str__(self) -> str:
        return f"{self.service} v{self.number}"


def instances(versions: Iterable[Version]) -> str:
    """`flights v1 ×3, fleet v1 ×2`."""
    return ", ".join(f"{version} ×{version.instances}" for version in versions) or "none"


class Figures(Message):
    """What the clients have seen since the start.

    longest: of all statements, what its client waited, in seconds; longest_of: which one it was.
    failed: SQLSTATE and first line of each failure -> how often.
    misread: rows that were not as the client that owns them had written them.
    """

    statements: int = 0
    longest: float = 0.0
    longest_of: str = ""
    failed: dict[str, int] = {}
    misread: int = 0
    running: tuple[Version, ...] = ()


class Verdict(Message):
    """All that was written, held against the rows.

    writes: statements that wrote and were acknowledged. rows: rows these made.
    lost: rows that are gone, or there though deleted. diverged: rows with another value than was written.
    """

    writes: int
    rows: int
    lost: int
    diverged: int


class Command(Message):
    """Deploy a version, drain one, or end all instances and compare; each is answered when it is done."""

    deploy: Version | None = None
    drain: Version | None = None
    finish: bool = False


class Told(Message):
    """What the process tells: figures now and then, and the answer to a command when it is done."""

    figures: Figures | None = None
    deployed: Version | None = None
    drained: Version | None = None
    verdict: Verdict | None = None
