"""crossfade: PostgreSQL migrations that old and new application versions live through side by side.

What Dagster projects take from here is imported when it is asked for: the command line does without Dagster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crossfade.orchestrate import MigrationSpecs, build_definitions

__version__ = "0.1.0"
__all__ = ["MigrationSpecs", "__version__", "build_definitions"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from crossfade import orchestrate

    return getattr(orchestrate, name)


def __dir__() -> list[str]:
    # `dg` looks for components among these.
    return sorted({*globals(), *__all__})
