"""crossfade demo: a whole migration under live traffic, on servers of its own."""

from __future__ import annotations

from typing import Annotated

import typer

from crossfade.cli.failure import end_in_order_on_sigterm
from crossfade.cli.terminal import out


def demo(
    ui: Annotated[bool, typer.Option("--ui", metavar="", help="With Dagster's user interface.")] = False,
    keep: Annotated[bool, typer.Option("--keep", metavar="", help="Leave the servers running at the end.")] = False,
) -> None:
    """Watch migrations run under live traffic, on databases of its own; nothing of yours is touched."""
    from crossfade.demo import run

    end_in_order_on_sigterm()
    raise typer.Exit(run(out(), ui=ui, keep=keep))
