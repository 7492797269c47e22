"""What a change may look at while it compiles: the catalog, the spec around it, and PostgreSQL's own judgement."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import NoReturn, Protocol

from crossfade.catalog.errors import CatalogLocked
from crossfade.catalog.model import Catalog, Column, Name, Table
from crossfade.changes._change import Compiled, Need, Refused
from crossfade.errors import Position
from crossfade.spec.fragment import Expression
from crossfade.spec.model import Head
from crossfade.steps.compose import relation
from crossfade.steps.names import own_name
from crossfade.steps.rows import shadow_name
from crossfade.steps.rules import Part, Place
from crossfade.steps.step import EXPAND, Leg


@dataclass(frozen=True)
class Facts:
    """What PostgreSQL says of an expression over a row.

    type: its type as format_type spells it.
    assignable: it may be assigned to the wanted type without an explicit cast.
    repeatable: the same row gives the same value again.
    volatile: it calls a volatile function, so that as a default it would rewrite the table.
    """

    type: str
    assignable: bool
    repeatable: bool
    volatile: bool


Columns = tuple[tuple[str, str], ...]  # name and type, in order; a name may come twice


@dataclass(frozen=True)
class SequenceUse:
    """How far a sequence has counted.

    per_day: rows that came into the table since the server began to count them; None where it does not tell.
    """

    last: int
    per_day: float | None


@dataclass(frozen=True)
class Extension:
    """An extension that the server could create. trusted: whoever may create schemas may create it."""

    versions: frozenset[str]
    trusted: bool


class Probe(Protocol):
    """Asks the server, without touching a table."""

    def expression(
        self,
        expression: Expression,
        *,
        table: str,
        row: Mapping[str, str],
        wanted: str | None = None,
        beside: str | None = None,
    ) -> Facts:
        """Resolve an expression over columns of the given types; raises Refused with the server's reason.

        beside: what it calls another row with the same columns.
        """
        ...

    def windowed(
        self, expression: Expression, *, table: str, row: Mapping[str, str], wanted: str | None = None
    ) -> Facts:
        """The same of one that may have window functions, over rows of which this is one."""
        ...

    def aggregated(
        self, expression: Expression, *, table: str, row: Mapping[str, str], wanted: str | None = None
    ) -> Facts:
        """The same of one that makes a value of many such rows, by aggregates."""
        ...

    def query(self, text: str) -> Columns:
        """The columns that a query gives; raises Refused with the server's reason."""
        ...

    def fits(self, text: str) -> Columns | None:
        """The same of a query with stand-ins for tables; None: only over the tables themselves could it be asked."""
        ...

    def type(self, text: str) -> str:
        """A type as format_type spells it; raises Refused when there is none of that name."""
        ...

    def users_of(self, routine: str) -> tuple[str, ...]:
        """What depends on a function, in words. routine: quoted and qualified, with its arguments' types."""
        ...

    def collation(self, name: str) -> Name:
        """The collation of that name, maybe with its schema; raises Refused when there is none for this database."""
        ...

    def method(self, name: str) -> frozenset[str]:
        """What indexes of the method can do, as in pg_indexam_has_property; raises Refused when there is none."""
        ...

    def key(self, type_: str, method: str = "btree", opclass: str | None = None) -> None:
        """Raises Refused when values of the type cannot be keys of such an index."""
        ...

    def tells_rows_apart(self, type_: str) -> None:
        """Raises Refused when our triggers could not tell rows apart by values of the type."""
        ...

    def excludes(self, type_: str, operator: str, method: str, opclass: str | None = None) -> None:
        """Raises Refused when an exclusion constraint cannot compare values of the type by the operator."""
        ...

    def extensions(self) -> Mapping[str, Extension]:
        """By name, what the server has at hand, created or not."""
        ...

    def is_compared(self, *, child: str, parent: str) -> bool:
        """A foreign key from the one type to the other can be made."""
        ...

    def has_large_objects(self) -> bool:
        """There is any in the database."""
        ...

    def sequence_use(self, sequence: Name, table: Name) -> SequenceUse | None:
        """None where it has given nothing yet, or the role may not see it. table: whose rows it numbers."""
        ...


Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Arrival:
    """A column that an earlier change of the same migration brings: what it is called from expand on, and its type."""

    physical: str
    type: str


@dataclass(frozen=True)
class Context:
    """One change of one migration on one database.

    catalog: the database as it is now, and the tables, policies and types that earlier changes make, as they will be.
    made_types: the names of those types. created: of those tables. They are empty when expand has made them, and no
    application knows them: what is done to them is done in expand, in the plainest way, and goes with them when they
    are dropped again.
    dropped: tables that earlier changes of the same migration drop in the end.
    shown: views that earlier changes make, with their columns and types. defined: functions that they make.
    rewritten: views that any change of the migration gives another query, which reads nothing that the migration takes
    away.
    brownout: for how long what retire hides is hidden for a trial before; None: not at all.
    elsewhere: the same for the other databases that the change is about, by name; of these it knows nothing that other
    changes make there.
    where: the change's place in its file. places: that of each of its keys, by the path from the change to its value.
    """

    migration: str
    head: Head
    database: str
    schema: str
    catalog: Catalog
    probe: Probe
    rules_leg: Leg
    where: Position
    index: int  # the change's place in the spec, from 0
    created: Collection[Name]
    arrivals: Mapping[Name, Mapping[str, Arrival]]
    made_types: frozenset[Name]
    dropped: frozenset[Name]
    shown: Mapping[Name, Mapping[str, str]]
    defined: frozenset[str]
    rewritten: frozenset[str]
    brownout: timedelta | None
    places: Mapping[Path, Position]
    elsewhere: Mapping[str, Context]

    def name(self, table: str) -> Name:
        """The qualified name: `table` or `schema.table`."""
        schema, dot, rest = table.partition(".")
        plain = Name(self.schema, table)
        return (
            Name(schema, rest) if dot and schema in self.catalog.schemas and plain not in self.catalog.tables else plain
        )

    def table(self, table: str, *at: str | int) -> Table:
        """The table as it is now, or as an earlier change makes it; refuses one that neither is nor comes.

        at: the key that names it, if not `table`.
        """
        at = at or ("table",)
        name = self.name(table)
        found = self.catalog.tables.get(name)
        self.refuse_locked(name, at)
        if (view := self.catalog.views.get(name)) is not None:
            what = "materialized view" if view.materialized else "view"
            self.refuse(f"{name} is a {what}, and a table is wanted", fix="name the table that it reads", at=at)
        if found is None:
            near = _nearest(name.name, [known.name for known in self.catalog.tables if known.schema == name.schema])
            hint = f"did you mean {near}?" if near else f"the schema {name.schema} of {self.database} has no such table"
            self.refuse(f"table {name} does not exist in database {self.database}", fix=hint, at=at)
        if found.kind == "foreign":
            why = "triggers and physical walks need a table of this server"
            self.refuse(f"{name} is a foreign table", why=why, at=at)
        return found

    def refuse_locked(self, name: Name, at: Path) -> None:
        """One that somebody holds exclusively could not be read whole, nor could a partition of it."""
        parts = [name, *(leaf.name for leaf in self.catalog.leaves(name))] if name in self.catalog.tables else [name]
        held = [f"{part} by {self.catalog.locked[part]}" for part in parts if part in self.catalog.locked]
        if held:
            raise CatalogLocked(
                f"table {name} is locked exclusively in database {self.database}, so it cannot be planned for now",
                where=self.place_of(at),
                why="; ".join(held),
                fix="wait until that session is done, or end its transaction, and try again",
            )

    def column(self, table: Table, column: str, *at: str | int) -> Column:
        """The column as it is now; refuses one that does not exist, at the key that names it."""
        found = table.by_name.get(column)
        if found is None:
            near = _nearest(column, list(table.by_name))
            known = ", ".join(table.by_name)
            hint = f"did you mean {near}? columns here: {known}" if near else f"columns here: {known}"
            self.refuse(f"column {column} does not exist in {table.name}", fix=hint, at=at)
        return found

    def physical(self, table: Table, column: str, *at: str | int) -> str:
        """What a column of the new shape is called from expand on; refuses one that neither is nor comes."""
        arrival = self.arrivals.get(table.name, {}).get(column)
        return arrival.physical if arrival is not None else self.column(table, column, *at).name

    def physical_names(self, table: Table) -> dict[str, str]:
        """Author's name -> physical name, of the columns that earlier changes bring."""
        return {name: arrival.physical for name, arrival in self.arrivals.get(table.name, {}).items()}

    def needs(self, table: Table, columns: Iterable[str]) -> tuple[Need, ...]:
        """The columns of the new shape that no earlier change brings, as what an index or rule over them needs."""
        arriving = self.arrivals.get(table.name, {})
        return tuple(Need(table.name, column, follows=True) for column in columns if column not in arriving)

    def refuse(self, what: str, *, why: str | None = None, fix: str | None = None, at: Path = ()) -> NoReturn:
        """at: the path to the value that is wrong, from the change."""
        raise Refused(what, where=self.place_of(at), why=why, fix=fix)

    def place_of(self, path: Path) -> Position:
        """Where the value stands, or the nearest one around it that is written; else the change itself."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places[path] if path else self.where

    @contextmanager
    def at(self, *path: str | int) -> Generator[None]:
        """What is refused of the change as a whole in here is refused of the value at `path`."""
        try:
            yield
        except Refused as refused:
            narrowed = (replace(p, where=self.place_of(path)) if p.where == self.where else p for p in refused.problems)
            raise Refused.of(narrowed) from None

    def within(self, *path: str | int) -> Context:
        """The same, for a mapping of the change that has keys of its own: paths begin there."""
        inner = {found[len(path) :]: where for found, where in self.places.items() if found[: len(path)] == path}
        return replace(self, places=inner)

    def refuse_old_server(self) -> None:
        """NULLS NOT DISTINCT came with PostgreSQL 15."""
        version = self.catalog.server.version // 10000
        if version < 15:
            self.refuse(
                f"`nulls_distinct: false` needs PostgreSQL 15, and {self.database} runs {version}",
                why="before, any number of rows may hold NULL under a unique rule",
                fix="leave it out; to allow one NULL, add a unique index over an expression such as (code IS NULL)"
                " WHERE code IS NULL",
            )

    def is_rewritten(self, view: Name) -> bool:
        """A change of the migration, wherever it stands, gives the view another query."""
        return any(self.name(written) == view for written in self.rewritten)

    def is_new(self, table: Table) -> bool:
        """An earlier change of the migration makes it."""
        return table.name in self.created

    def place(self, table: Table, leg: Leg | None = None) -> Place:
        """Where rules and indexes on the table are added."""
        new = self.is_new(table)
        leg = EXPAND if new else leg or self.rules_leg
        parts = tuple(
            Part(relation(part.name), relation(part.partition_of), part.kind != "partitioned")
            for part in self.catalog.tree(table.name)
            if part.partition_of is not None and part.name != table.name
        )
        whole = table.kind != "partitioned"
        return Place(self.migration, self.database, relation(table.name), table.key, leg, new, None if whole else parts)

    def own(self, purpose: str, *subject: str) -> str:
        return own_name(self.migration, purpose, *subject)

    def after(self, result: Compiled) -> Context:
        """As another change finds it that stands below one which came to this."""
        merged = dict(self.arrivals)
        for name, columns in arrivals_of(self.migration, self.catalog, result).items():
            merged[name] = {**merged.get(name, {}), **columns}
        return replace(self, arrivals=merged)

    def row_types(self, table: Table) -> dict[str, str]:
        """Columns and types of the row as it is now."""
        return {column.name: column.type for column in table.columns}

    def new_row_types(self, table: Table) -> dict[str, str]:
        """Columns and types of the row with what earlier changes bring."""
        arriving = {name: arrival.type for name, arrival in self.arrivals.get(table.name, {}).items()}
        return self.row_types(table) | arriving


def arrivals_of(migration: str, catalog: Catalog, result: Compiled) -> dict[Name, dict[str, Arrival]]:
    """The columns that a change brings to tables that are there, by table."""
    found: dict[Name, dict[str, Arrival]] = {}
    for table, column, type_ in result.adds:
        if table in catalog.tables:
            found.setdefault(table, {})[column] = Arrival(column, type_)
    for table, pair in result.pairs:
        for new in pair.new:
            physical = shadow_name(migration, table, new.name) if pair.swap else new.name
            found.setdefault(table, {})[new.name] = Arrival(physical, new.type)
    for table, old, new, type_ in result.renames:
        found.setdefault(table, {})[new] = Arrival(old, type_)
    return found


def _nearest(name: str, known: list[str]) -> str | None:
    import difflib

    found = difflib.get_close_matches(name, known, n=1)
    return found[0] if found else None
