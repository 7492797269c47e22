"""The command line: thin commands over the engine. A command imports what it needs when it runs.

`crossfade --help` and `crossfade check` answer at once because nothing here imports a room of the engine, Dagster or
Great Expectations before it is used.
"""

from crossfade.cli.app import app, main

__all__ = ["app", "main"]
