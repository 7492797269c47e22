"""What is done to the tables: every kind of change, with what each version of the application makes of it.

One file a kind; its KINDS are added by being there. `changes` is what stands in the spec. `pairs` say the same in
Python: how an old column and a new one follow each other, which the rows are held to.
"""

from __future__ import annotations

import importlib
import pkgutil

from tests.torture.kinds._kind import Kind, Pair, Unmappable, Value

__all__ = ["KINDS", "Kind", "Pair", "Unmappable", "Value"]

_FILES = sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))
KINDS: dict[str, Kind] = {
    kind.name: kind for name in _FILES for kind in importlib.import_module(f"{__name__}.{name}").KINDS
}
