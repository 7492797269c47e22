"""How a migration sees a table while old and new versions live side by side: pairs of columns, their names over time.

Author's names are what the spec says; physical names are what the columns are called at a moment. A pair is
turned when the new side has taken over: at cutover where names swap, at retire where the new side has a name of
its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Literal, LiteralString

from crossfade.catalog.model import Column, Constraint, Identity, Name, Sequence, Table
from crossfade.composing import sql
from crossfade.spec.fragment import Expression
from crossfade.spec.model import Stage
from crossfade.steps.compose import identifier, relation
from crossfade.steps.mirror import Mirror
from crossfade.steps.names import own_name
from crossfade.steps.step import Leg, Relation
from crossfade.steps.tuning import Tuning
from crossfade.steps.version_schemas import VersionSchemas

if TYPE_CHECKING:
    from crossfade.steps.followers import Follower

Moment = Literal["side by side", "swapped", "retired"]


@dataclass(frozen=True)
class NewColumn:
    """A column of the new side as it shall be in the end.

    sequences: those that belong to the old column; they go over at the turn, with what they have given out. One is
    that of its identity, where it has one.
    """

    name: str
    type: str
    collation: str | None = None  # SQL text, qualified
    default: str | None = None  # SQL text; set when the pair is turned
    not_null: bool = False
    comment: str | None = None
    tuning: Tuning = field(default_factory=Tuning)
    identity: Identity | None = None
    sequences: tuple[Sequence, ...] = ()


@dataclass(frozen=True)
class CheckRule:
    """A CHECK over the new row, by the name it has in the end."""

    name: str
    condition: Expression


@dataclass(frozen=True)
class UniqueRule:
    """A UNIQUE over columns of the new side, by the name it has in the end."""

    name: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class RenamedType:
    """A type that gets another name, maybe in another schema. spelled: as a column has it before, or an array of it."""

    before: Name
    after: Name
    spelled: str


@dataclass(frozen=True)
class Pair:
    """Columns that mean the same to the old and the new version, and how each is made from the other.

    old: columns the old version uses and that leave in the end (author's names).
    new: columns of the new side; under a shadow name until turned when `swap`.
    up: new column -> expression over the old row. down: old column -> expression over the new row.
    repeatable: `up` gives the same again for the same row, so that it can be compared.
    total: no value makes `up` or `down` fail.
    rules_leg: from where its new rules bind, when the change says otherwise than the migration.
    readers: signatures of trigger functions that read the old column and get the new one's type at the turn.
    followers: what reads the old column by its place, and is made again over the new one at the turn.
    fits: where both columns hold the same values, under one name, and differ in how many there can be: true of a new
    row whose value the old column holds too. Such a column tells rows apart by its name, whichever side is in place.
    sheds: checks over the old columns that bind the old version only, and go at the turn.
    seen_to: constraints over the old columns that the change itself brings over, or lets go.
    waits: `up` reads rows of another table. Where those are not filled yet it says so (NOT_FILLED), and the row is not
    mapped until they are.
    renamed: types that change names with the turn, before all else.
    freed: the change itself lets the old columns be empty, from expand on, for what the new version writes.
    """

    title: str
    old: tuple[str, ...]
    new: tuple[NewColumn, ...]
    up: Mapping[str, Expression] = field(default_factory=dict[str, Expression])
    down: Mapping[str, Expression] = field(default_factory=dict[str, Expression])
    swap: bool = False
    repeatable: bool = True
    total: bool = False
    checks: tuple[CheckRule, ...] = ()
    uniques: tuple[UniqueRule, ...] = ()
    rules_leg: Leg | None = None
    readers: tuple[str, ...] = ()
    followers: tuple[Follower, ...] = ()
    fits: Expression | None = None
    sheds: tuple[str, ...] = ()
    seen_to: tuple[str, ...] = ()
    waits: bool = False
    renamed: tuple[RenamedType, ...] = ()
    freed: bool = False

    @property
    def comparable(self) -> bool:
        """It can be asked of a row whether both sides agree: `up` gives the same again, and the old side follows.

        Where it does not, what the new version wrote is its own affair, and nothing tells its rows from the others.
        """
        return bool(self.up and self.down) and self.repeatable

    @property
    def turns_at(self) -> Stage:
        return "cutover" if self.swap else "retire"

    def turned(self, moment: Moment) -> bool:
        """Only the new side is written. Where no old column leaves, both sides are written to the end."""
        return bool(self.old) and (moment == "retired" or (self.swap and moment == "swapped"))


@dataclass(frozen=True)
class Following:
    """A foreign key to columns of ours that are replaced: it is made again between the new columns.

    Maps are from a column of the child as it is now to what it is called then. new: the one that takes its place,
    until the child is turned. turned: the old one, when the child is turned.
    """

    child: Name
    constraint: Constraint
    new: Mapping[str, str]
    turned: Mapping[str, str]


def shadow_name(migration: str, table: Name, column: str) -> str:
    """What a column that will swap names is called until then."""
    return own_name(migration, "new", str(table), column)


@dataclass(frozen=True)
class Sides:
    """All pairs of one migration on one table, and how the spec wants them carried out.

    search_path: where unqualified names in fragments are looked up.
    rules_leg: from where new rules bind (enforce).
    keep: how long an archive stage keeps the old values aside; None: not at all.
    silent: user triggers must not fire for the rows we fill.
    schemas: of views by which each version sees the table; None: both see the table itself.
    following: foreign keys to columns that are replaced. handed_over: names of the table's own foreign keys that
    follow those of another table.
    mirrors: those whose left columns are among the columns that leave.
    brownout: how long the columns that retire hides are hidden for a trial before; None: not at all.
    counts_writes: triggers count who still writes them.
    """

    migration: str
    database: str
    table: Table
    pairs: tuple[Pair, ...]
    search_path: tuple[str, ...]
    rules_leg: Leg
    keep: timedelta | None
    silent: bool
    schemas: VersionSchemas | None = None
    following: tuple[Following, ...] = ()
    handed_over: frozenset[str] = frozenset()
    mirrors: tuple[Mirror, ...] = ()
    brownout: timedelta | None = None
    counts_writes: bool = False

    @property
    def relation(self) -> Relation:
        return relation(self.table.name)

    @property
    def sql(self) -> sql.Identifier:
        return identifier(self.table.name)

    @cached_property
    def leaving(self) -> tuple[str, ...]:
        """Old columns that are gone in the end, in table order."""
        gone = {name for pair in self.pairs for name in pair.old}
        return tuple(column.name for column in self.table.columns if column.name in gone)

    @cached_property
    def key(self) -> tuple[str, ...]:
        """The columns that tell rows apart from expand to drop; () when the table's key is among those that leave."""
        return () if set(self.table.key) & set(self.parting) else self.table.key

    @cached_property
    def parting(self) -> tuple[str, ...]:
        """Old columns that leave with values which no new column holds as they are."""
        held = {name for pair in self.pairs if pair.fits is not None for name in pair.old}
        return tuple(name for name in self.leaving if name not in held)

    @cached_property
    def shed(self) -> frozenset[str]:
        """Constraints that go at the turn or before, and are not carried over."""
        return frozenset(name for pair in self.pairs for name in (*pair.sheds, *pair.seen_to))

    @property
    def waits(self) -> bool:
        """A row may have to be left unmapped until rows of another table are filled."""
        return any(pair.waits for pair in self.pairs)

    @cached_property
    def arriving(self) -> tuple[NewColumn, ...]:
        return tuple(column for pair in self.pairs for column in pair.new)

    def binding_leg(self, columns: Collection[str]) -> Leg:
        """From where rules over these old columns bind the new side: the latest that a change of them says."""
        legs = [pair.rules_leg or self.rules_leg for pair in self.pairs if set(pair.old) & set(columns)]
        return max(legs, key=lambda leg: leg.order, default=self.rules_leg)

    def follows(self, name: str) -> bool:
        """A leaving column gets its values through `down` when the new version writes, or from another table."""
        return self.is_mirrored(name) or any(name in pair.down for pair in self.pairs)

    def is_mirrored(self, name: str) -> bool:
        return any(name in mirror.left.columns for mirror in self.mirrors)

    def is_bound(self, name: str) -> bool:
        """A leaving column is NOT NULL until it is hidden. One that is kept in step with another table is not: a row of
        the new version is half a row until its other half comes.
        """
        freed = self.is_mirrored(name) or any(pair.freed for pair in self.pairs if name in pair.old)
        return self.old_column(name).not_null and not freed

    def mirrors_at(self, moment: Moment) -> tuple[Mirror, ...]:
        """The mirrors with the columns of this table under their names of the moment."""
        return tuple(mirror.renamed(self.old_names(moment)) for mirror in self.mirrors)

    @property
    def synced(self) -> bool:
        """Anything is mapped at all; a column that only leaves needs no trigger."""
        return any(pair.up or pair.down for pair in self.pairs)

    @property
    def filled(self) -> bool:
        """Existing rows get new values."""
        return any(pair.up for pair in self.pairs)

    @property
    def unknown(self) -> sql.SQL:
        """The marker of a row that came while nothing was synced: nobody has made an old side for it.

        Where rows are filled, that is the one of a row not mapped yet. Where not, NULL is a row nobody wrote since
        expand, whose old values are still its own.
        """
        return sql.SQL("NULL" if self.filled else "false")

    @property
    def swaps(self) -> bool:
        return any(pair.swap for pair in self.pairs)

    def id(self, *parts: str) -> str:
        """A step's id."""
        return "/".join((str(self.relation), *parts))

    def alter(self, clause: LiteralString, *parts: sql.Composable | str) -> sql.Composable:
        """`ALTER TABLE t <clause>`; each {} takes a name (str) or composed SQL."""
        made = [sql.Identifier(part) if isinstance(part, str) else part for part in parts]
        return sql.SQL("ALTER TABLE {} {}").format(self.sql, sql.SQL(clause).format(*made))

    def physical(self, column: NewColumn) -> str:
        """What a new column is called until its pair is turned."""
        return self.new_names("side by side").get(column.name, column.name)

    def own(self, purpose: str, *subject: str) -> str:
        return own_name(self.migration, purpose, str(self.table.name), *subject)

    @property
    def marker(self) -> str:
        """The column that says of each row: NULL not mapped yet, true mapped, false in conflict."""
        return self.own("mapped", self.table.name.name)

    def explain_marker(self) -> sql.Composable:
        """The comment that tells a DBA what the marker is; wherever it is added, it goes with it."""
        name = sql.Identifier(self.table.name.schema, self.table.name.name, self.marker)
        meaning = "NULL not mapped yet, true mapped, false in conflict"
        return sql.SQL("COMMENT ON COLUMN {} IS {}").format(
            name, sql.Literal(f"crossfade: {meaning}; migration {self.migration}")
        )

    def shadow(self, name: str) -> str:
        """The new column's name before names swap."""
        return shadow_name(self.migration, self.table.name, name)

    def hidden(self, name: str) -> str:
        """The old column's name once its pair is turned."""
        return self.own("old", name)

    def old_names(self, moment: Moment) -> dict[str, str]:
        """Author's name -> physical name, of the columns that leave."""
        return {name: self.hidden(name) for pair in self.pairs if pair.turned(moment) for name in pair.old}

    def new_names(self, moment: Moment) -> dict[str, str]:
        """Author's name -> physical name, of the columns that arrive."""
        return {
            column.name: self.shadow(column.name)
            for pair in self.pairs
            if pair.swap and not pair.turned(moment)
            for column in pair.new
        }

    def turned(self, pair: Pair, moment: Moment) -> bool:
        """Only the new side of the pair is written: it is turned, or the column it writes back is hidden by now.

        Where the version before has views of its own it goes on writing by them until they are gone, at retire.
        """
        if self.schemas is not None and moment == "swapped":
            moment = "side by side"
        return pair.turned(moment) or (not pair.old and not self.old_names(moment).keys().isdisjoint(pair.down))

    @property
    def retires(self) -> bool:
        """Something is turned at retire: old columns are hidden then, or the version before writes no more."""
        return any(not pair.swap for pair in self.pairs) or (self.swaps and self.schemas is not None)

    def old_column(self, name: str) -> Column:
        return self.table.by_name[name]

    def spelled(self, pair: Pair, type_: str, moment: Moment) -> str:
        """The type of a column of the pair, by the name that it has at the moment."""
        after = next((renamed.after for renamed in pair.renamed if renamed.spelled == type_), None)
        if after is None or not pair.turned(moment):
            return type_
        return identifier(after).as_string(None) + ("[]" if type_.endswith("[]") else "")

    def up(self, pair: Pair, column: str, row: str, moment: Moment) -> sql.Composable:
        """`up` of a new column over the old row, as it is named at the moment."""
        return pair.up[column].render(self.table.name.name, row, self.old_names(moment))

    def down(self, pair: Pair, column: str, row: str, moment: Moment) -> sql.Composable:
        """`down` of an old column over the new row, as it is named at the moment."""
        return pair.down[column].render(self.table.name.name, row, self.new_names(moment))

    def old_side(self, pair: Pair, moment: Moment) -> tuple[str, ...]:
        """Physical columns whose change means that the old version wrote: all that `up` reads, where it cannot be asked
        which side was made of the other.
        """
        if not pair.comparable:
            return self.up_reads(pair, moment)
        names = self.old_names(moment)
        return tuple(sorted(names.get(name, name) for name in pair.old or pair.down))

    def new_side(self, pair: Pair, moment: Moment) -> tuple[str, ...]:
        """Physical columns whose change means that the new version wrote."""
        names = self.new_names(moment)
        return tuple(names.get(column.name, column.name) for column in pair.new)

    def beside(self, pair: Pair, moment: Moment) -> tuple[str, ...]:
        """Physical columns that `up` or `down` reads besides both sides: a write of them does not tell who wrote."""
        if not pair.comparable:
            return ()
        read = {*self.up_reads(pair, moment), *self.down_reads(pair, moment)}
        return tuple(sorted(read - {*self.old_side(pair, moment), *self.new_side(pair, moment)}))

    def up_reads(self, pair: Pair, moment: Moment) -> tuple[str, ...]:
        """Physical columns that `up` reads, and the old side itself."""
        return self._reads(pair.up, self.old_names(moment), pair.old)

    def down_reads(self, pair: Pair, moment: Moment) -> tuple[str, ...]:
        """Physical columns that `down` reads, and the new side itself."""
        return self._reads(pair.down, self.new_names(moment), tuple(column.name for column in pair.new))

    def _reads(
        self, mapping: Mapping[str, Expression], names: Mapping[str, str], always: tuple[str, ...]
    ) -> tuple[str, ...]:
        read = {name for expression in mapping.values() for name in expression.columns(self.table.name.name)}
        return tuple(sorted(names.get(name, name) for name in read | set(always)))
