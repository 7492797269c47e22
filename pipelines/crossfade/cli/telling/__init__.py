"""How a run is told while it lasts: live on a terminal, as plain lines in a log, as JSON lines for programs."""

from crossfade.cli.telling.narrator import Narrator, narrator

__all__ = ["Narrator", "narrator"]
