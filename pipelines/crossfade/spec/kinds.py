"""What load needs to know of a vocabulary: the names of its kinds, and the model of each one in use."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from crossfade.spec.values import SpecModel


class Kinds(Protocol):
    """The kinds of change, or of gate, that a spec may use."""

    def names(self) -> Collection[str]:
        """Every kind, as it is written in YAML."""
        ...

    def model(self, kind: str) -> type[SpecModel]:
        """The model of one kind, imported now; `kind` is one of `names()`."""
        ...


@dataclass(frozen=True)
class Vocabulary:
    """Kinds by name, each with the function that imports its model: a spec pays only for what it uses."""

    models: Mapping[str, Callable[[], type[SpecModel]]]

    def names(self) -> Collection[str]:
        """Every kind, as it is written in YAML."""
        return self.models.keys()

    def model(self, kind: str) -> type[SpecModel]:
        """The model of one kind, imported now."""
        return self.models[kind]()


class PackageKinds:
    """The kinds a package holds: a module without a leading underscore is one, and its class bears its name.

    `add_column` holds `AddColumn`; with the suffix `Gate`, `soak` holds `SoakGate`. A module is imported when
    its kind is first used, so a new kind is a new file and nothing else.
    """

    def __init__(self, package: str, *, suffix: str = "") -> None:
        self._package = package
        self._suffix = suffix

    @cached_property
    def _names(self) -> tuple[str, ...]:
        # By the file system, without importing the package: it may be importing us.
        spec = importlib.util.find_spec(self._package)
        assert spec is not None
        found = (module.name for module in pkgutil.iter_modules(spec.submodule_search_locations) if not module.ispkg)
        return tuple(sorted(name for name in found if not name.startswith("_")))

    def names(self) -> Collection[str]:
        """Every kind, as it is written in YAML."""
        return self._names

    def model(self, kind: str) -> type[SpecModel]:
        """The model of one kind, imported now; `kind` is one of `names()`."""
        module = importlib.import_module(f"{self._package}.{kind}")
        return getattr(module, "".join(part.capitalize() for part in kind.split("_")) + self._suffix)
