"""What a change is: what a user writes, and what it comes to on a given database."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from crossfade.catalog.model import Composite, Constraint, Domain, Enum, Index, Name, Policy, Table
from crossfade.errors import CrossfadeError
from crossfade.spec.values import SpecModel
from crossfade.steps.mirror import Mirror
from crossfade.steps.rows import Pair
from crossfade.steps.step import AnyStep

if TYPE_CHECKING:
    from crossfade.changes._context import Context

Risk = Literal["note", "warning", "danger"]


class Refused(CrossfadeError):
    """A change that cannot be done on this database, with the place in the spec, the reason and the way out."""


@dataclass(frozen=True)
class Hazard:
    """Something a reviewer must know, by a code that can be looked up.

    what: what will happen. fix: what to do when that is not wanted.
    """

    code: str
    risk: Risk
    what: str
    fix: str | None = None


@dataclass(frozen=True)
class Mapped:
    """Lineage: which columns a column is made from, and how.

    of: the table of the sources, where they are of another one. of_database: theirs, where it is another one.
    in_database: the table's, where it is not the change's own.
    """

    table: Name
    column: str
    sources: tuple[str, ...]
    expression: str
    of: Name | None = None
    of_database: str | None = None
    in_database: str | None = None


@dataclass(frozen=True)
class Need:
    """A column, as the table has it before the migration, that an index or rule of the change goes with.

    follows: written after the change that replaces the column, the index or rule is made over the new one.
    as_key: it goes with the key that the column is in, too: it is that key, or a foreign key that points at it.
    """

    table: Name
    column: str
    follows: bool
    as_key: bool = False


@dataclass(frozen=True)
class Compiled:
    """What a change comes to.

    steps: its own steps, in order within each leg.
    pairs: columns to be kept in step; the plan makes one transition a table of all of them.
    mirrors: where columns of a pair without a new side go: to another table, with which they are kept in step.
    adds: columns it adds by itself (table, column, type); those of pairs are known from the pairs.
    creates: tables it makes, as the catalog will have them; made in expand, as what it adds.
    indexes, constraints, policies: those it makes, each with its table, under the names and over the columns of the new
        shape.
    types: those it makes; made in expand too.
    shows: views it makes, each with its columns and their types. defines: functions it makes, as `schema.name(types)`.
    takes: tables whose names it takes away, which no other change of the migration may touch.
    drops: those of them that are dropped in the end; hidden until then, each is its own archive.
    renames: columns that get another name at cutover (table, old name, new name, type) and stay what they are.
    rekeys: columns that stay, and are the primary key no more (table, column).
    versions: tables that each version shall see by views, in the shape it knows.
    keeps: columns (by table) whose values it puts aside by itself; those of pairs and drops are known from these.
    needs: what its indexes and rules would be lost with; those of pairs are known from the pairs.
    """

    steps: tuple[AnyStep, ...] = ()
    pairs: tuple[tuple[Name, Pair], ...] = ()
    mirrors: tuple[Mirror, ...] = ()
    adds: tuple[tuple[Name, str, str], ...] = ()
    creates: tuple[Table, ...] = ()
    indexes: tuple[tuple[Name, Index], ...] = ()
    constraints: tuple[tuple[Name, Constraint], ...] = ()
    policies: tuple[tuple[Name, Policy], ...] = ()
    types: tuple[Enum | Domain | Composite, ...] = ()
    shows: tuple[tuple[Name, Mapping[str, str]], ...] = ()
    defines: tuple[str, ...] = ()
    takes: tuple[Name, ...] = ()
    drops: tuple[Name, ...] = ()
    renames: tuple[tuple[Name, str, str, str], ...] = ()
    rekeys: tuple[tuple[Name, str], ...] = ()
    versions: tuple[Name, ...] = ()
    keeps: tuple[tuple[Name, tuple[str, ...]], ...] = ()
    needs: tuple[Need, ...] = ()
    hazards: tuple[Hazard, ...] = ()
    maps: tuple[Mapped, ...] = ()


class Change(SpecModel):
    """One change of the vocabulary."""

    database: str | None = Field(None, description="The database, when it is not the migration's.")

    @property
    def databases_beside(self) -> tuple[str, ...]:
        """Other databases than its own that it is about."""
        return ()

    @property
    def rewrites(self) -> tuple[str, ...]:
        """Views that it gives another query before contract hides anything, by the names as written."""
        return ()

    @abstractmethod
    def compile(self, context: Context) -> Compiled:
        """The change as steps and pairs on the database in `context`; raises Refused."""
