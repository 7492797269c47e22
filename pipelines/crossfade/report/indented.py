"""Text folded to the width of the terminal, below what it belongs to."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text


def print_indented(console: Console, by: int, what: Text, *, mark: str = "") -> None:
    """Line by line: a padded block would end its lines in blanks, in a file too. mark: stands before the first."""
    for number, line in enumerate(what.wrap(console, console.width - by)):
        line.rstrip()
        console.print(Text((mark if number == 0 else "").ljust(by)) + line)
