"""What every way of telling does, and which one is chosen."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from crossfade.cli.terminal import is_conversation, out
from crossfade.errors import CrossfadeError
from crossfade.execute import Notice, Outcome
from crossfade.spec import Migration


class Narrator(Protocol):
    """Tells of one migration after the other."""

    def begun(self, migration: Migration) -> None:
        """What is told from here on is about this migration."""
        ...

    def at_work(self) -> AbstractContextManager[object]:
        """While a runner works; questions are asked outside of it."""
        ...

    def hear(self, notice: Notice) -> None:
        """The runner's listener."""
        ...

    def ended(self, outcome: Outcome) -> None:
        """How the run of a migration ended."""
        ...

    def refused(self, migration: Migration, error: CrossfadeError) -> None:
        """The migration could not start or go on."""
        ...

    def left_out(self, migration: Migration, why: str) -> None:
        """The migration was not tried."""
        ...


def narrator(*, as_json: bool) -> Narrator:
    """Live where a person looks on, plain lines elsewhere."""
    if as_json:
        from crossfade.cli.telling.jsonlines import JsonLines

        return JsonLines()
    if is_conversation():
        from crossfade.cli.telling.live import Live

        return Live(out())
    from crossfade.cli.telling.lines import Lines

    return Lines()
