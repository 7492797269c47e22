"""Which relation or function of the catalog a name in a statement means."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from crossfade.catalog.model import Catalog, Column, Function, Name

_OF_THE_SERVER = ("pg_catalog", "information_schema")


@dataclass
class Relations:
    """Looks names up along a path of schemas.

    doubtful: bare names of relations that a session with another search_path means something else by.
    """

    catalog: Catalog
    path: tuple[str, ...]
    doubtful: set[str] = field(default_factory=set[str])

    def __post_init__(self) -> None:
        self._schemas: dict[str, list[str]] = defaultdict(list)
        for name in (*self.catalog.tables, *self.catalog.views):
            self._schemas[name.name].append(name.schema)
        self._functions: dict[str, list[Function]] = defaultdict(list)
        for function in self.catalog.functions.values():
            self._functions[function.name.name].append(function)

    def find(self, name: str, schema: str | None) -> Name | None:
        """The table or view; None for one that is not there, of another database or of the server itself."""
        if schema is not None:
            found = Name(schema, name)
            return found if found in self.catalog.tables or found in self.catalog.views else None
        schemas = self._schemas.get(name, [])
        if len(schemas) > 1:
            self.doubtful.add(name)
        # Any other, too: a session's own search_path may name its schema, and nothing else bears the name.
        chosen = next((schema for schema in self.path if schema in schemas), schemas[0] if schemas else None)
        return Name(chosen, name) if chosen is not None else None

    def elsewhere(self, table: Name) -> bool:
        """A bare name that was looked up might have meant this table."""
        return table.name in self.doubtful

    def columns(self, relation: Name) -> Sequence[Column]:
        table = self.catalog.tables.get(relation)
        return table.columns if table is not None else self.catalog.views[relation].columns

    def functions(self, parts: Sequence[str]) -> Sequence[Function]:
        """Those somebody wrote here that the name may mean."""
        if len(parts) > 1 and parts[-2] in _OF_THE_SERVER:
            return ()
        found = self._functions.get(parts[-1], [])
        return [function for function in found if len(parts) == 1 or function.name.schema == parts[-2]]
