"""What to do next, in three lines."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.table import Table
from rich.text import Text

_LEFT_WAITING = "planes_without_speed"


def onward(root: Path, *, kept: bool, port: int | None) -> Table:
    """root: of the project that ran. kept: it stays. port: Dagster's, where it is about to be served."""
    lines = Table.grid(padding=(0, 2))
    lines.add_row()
    for what, how in _serving(root, port) if port is not None else _over(root, kept):
        lines.add_row(what, Text(how, overflow="fold"))
    lines.add_row()
    return lines


def _serving(root: Path, port: int) -> Iterator[tuple[str, str]]:
    yield "Dagster shows it", f"http://127.0.0.1:{port}, in a moment and until Ctrl-C"
    yield f"{_LEFT_WAITING} waits for you", f"{_there(root)} approve {_LEFT_WAITING} --team team_fleet"
    yield "then Dagster goes on with it", f"{_there(root)} status"


def _over(root: Path, kept: bool) -> Iterator[tuple[str, str]]:
    if kept:
        yield "all of it stays", f"{_there(root)} status"
    else:
        readme = root / "README.md"
        yield "what ran", f"{root / 'migration_specs'}{f', explained in {readme}' if readme.exists() else ''}"
    yield "see it in Dagster", f"{_crossfade()} demo --ui"
    yield "begin your own", f"{_crossfade()} init my && cd my && {_crossfade()} up"


def _there(root: Path) -> str:
    return f"cd {shlex.quote(str(root))} && {_crossfade()}"


def _crossfade() -> str:
    """The program as this user's shell finds it."""
    return "crossfade" if shutil.which("crossfade") else shlex.quote(str(Path(sys.executable).with_name("crossfade")))
