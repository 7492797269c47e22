"""A column that is numbered by the server from now on: its own sequence goes on as that of an identity."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import LiteralString

from crossfade.catalog.model import Column, Sequence, Table
from crossfade.catalog.parts import Identity
from crossfade.changes._change import Hazard
from crossfade.changes._context import Context
from crossfade.changes._counting_over import GAP, CountingOver
from crossfade.changes._instant import instant
from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps.compose import alter_column, identifier, lock, relation
from crossfade.steps.numbering import most
from crossfade.steps.step import Ddl, stage_leg

_CUTOVER = stage_leg("cutover")
# As PostgreSQL prints the default of a serial.
_DRAWS = re.compile(r"nextval\('(?:[^']|'')+'::regclass\)")


@dataclass(frozen=True)
class Numbered:
    """kind: of the identity that the column shall be."""

    context: Context
    table: Table
    column: Column
    kind: Identity

    def steps(self) -> tuple[Ddl, ...]:
        """At cutover, of the catalog alone; refuses what it cannot count on from."""
        with self.context.at("to", "identity"):
            self._refuse_misfit()
            if self.column.identity:
                return (self._another_kind(self.column.identity),)
            owner = self.table.name, self.column.name
            owned = [s for s in self.context.catalog.sequences.values() if s.owned_by == owner]
            if owned:
                return self._taken_over(self._only(owned))
            return (self._new(),)

    def hazards(self) -> Iterator[Hazard]:
        shown = self._shown
        if self.kind == "always":
            yield Hazard(
                "identity-refuses",
                "warning",
                f"from cutover on an INSERT that gives {shown} a value fails (428C9), and an UPDATE of it too",
                "leave the column out of INSERT, or say `identity: by default`; OVERRIDING SYSTEM VALUE goes on",
            )
        if not self.column.identity and self.column.default is not None:
            yield Hazard(
                "identity-counts-anew",
                "note",
                f"at cutover {shown} counts on by a new sequence of the same name, {GAP:,} numbers further or more:"
                " currval() fails in sessions that drew from the old one, until they draw again",
                "take the key from INSERT ... RETURNING",
            )

    @property
    def _shown(self) -> str:
        return f"{self.table.name}.{self.column.name}"

    def _refuse_misfit(self) -> None:
        context, column, shown = self.context, self.column, self._shown
        if most(column.type) is None:
            context.refuse(f"{shown} is {column.type}", why="an identity is smallint, integer or bigint")
        if column.identity == self.kind:
            context.refuse(f"{shown} is an identity already, generated {self.kind}", fix="leave `identity` out")
        if not column.not_null:
            context.refuse(
                f"{shown} may be NULL",
                why="PostgreSQL takes an identity on a column that is NOT NULL only",
                fix="say `nullable: false` of it in a migration that comes before",
            )
        if self.table.kind == "partitioned" or self.table.partition_of is not None:
            context.refuse(
                f"{self.table.name} is partitioned, or a partition",
                why="before PostgreSQL 17 partitions have no identity, and a row written to one would get no number",
                fix="leave the default as it is",
            )

    def _only(self, owned: list[Sequence]) -> Sequence:
        """The sequence that the default draws from, and nothing else does."""
        context, shown = self.context, self._shown
        used = [use for sequence in owned for use in sequence.uses]
        own = (self.table.name.schema, self.table.name.name, self.column.name)
        others = [use for use in used if use.path != own]
        if len(owned) > 1 or others:
            also = f"{others[0]} uses {owned[0].name}" if others else f"{shown} has {len(owned)} sequences of its own"
            context.refuse(
                also,
                why="it would go on with a sequence that is gone",
                fix="give it another sequence, or none, in a migration that comes before",
            )
        if self.column.default is None:
            context.refuse(
                f"{shown} has no default, and a sequence of its own",
                why="it would go on with a sequence that is its identity's",
                fix="let the sequence go, or draw from it by default, in a migration that comes before",
            )
        if not used or not _DRAWS.fullmatch(self.column.default):
            self._refuse_default()
        (sequence,) = owned
        use = context.probe.sequence_use(sequence.name, self.table.name)
        end, gap = (sequence.maximum if sequence.increment > 0 else sequence.minimum), GAP * sequence.increment
        if use is not None and abs(end - use.last) < 10 * abs(gap):
            context.refuse(
                f"{sequence.name} is at {use.last:,} and ends at {end:,}",
                why=f"{GAP:,} numbers are left out when it goes over",
                fix="`widen_key` first",
            )
        return sequence

    def _refuse_default(self) -> None:
        """A default that is not the column's own sequence."""
        if self.column.default is not None:
            self.context.refuse(
                f"{self._shown} has the default {self.column.default}",
                why="an identity is a default itself, and counts on from a sequence of the column's own only",
                fix="let the column own that sequence (`alter_sequence` with `owned_by`), or take the default away, in"
                " a migration that comes before",
            )

    def _another_kind(self, before: Identity) -> Ddl:
        said = "SET GENERATED {}"
        return self._step(
            [self._altered(said, trusted(self.kind.upper()))],
            [self._altered(said, trusted(before.upper()))],
            f"generate it {before} again",
        )

    def _taken_over(self, sequence: Sequence) -> tuple[Ddl, ...]:
        default = self.column.default
        assert default is not None
        over = CountingOver(self.context, self.table.name, self.column, default, self.kind, sequence)
        return tuple(over.steps())

    def _new(self) -> Ddl:
        """It begins past the highest value, which the first entry of an index tells."""
        self._refuse_default()
        told = any(i.valid and i.predicate is None and i.columns[:1] == (self.column.name,) for i in self.table.indexes)
        if not told and not self.context.is_new(self.table):
            self.context.refuse(
                f"no index of {self.table.name} begins with {self.column.name}",
                why="to find its highest value PostgreSQL would scan the table while nobody can write it",
                fix="create one in a migration that comes before",
            )
        forth = [
            self._altered("ADD GENERATED {} AS IDENTITY", trusted(self.kind.upper())),
            sql.SQL(
                "SELECT pg_catalog.setval(pg_catalog.pg_get_serial_sequence({}, {}),"
                " greatest(pg_catalog.max({}), 0)::bigint + 1, false) FROM {}"
            ).format(
                sql.Literal(identifier(self.table.name).as_string(None)),
                sql.Literal(self.column.name),
                sql.Identifier(self.column.name),
                identifier(self.table.name),
            ),
        ]
        return self._step(forth, [self._altered("DROP IDENTITY")], "let it be a plain column again")

    def _altered(self, clause: LiteralString, *more: sql.Composable) -> sql.Composable:
        return alter_column(self.table.name, self.column.name, sql.SQL(clause).format(*more))

    def _step(self, forth: list[sql.Composable], back: list[sql.Composable], back_title: str) -> Ddl:
        shown = self._shown
        locks = lock(relation(self.table.name), "ACCESS EXCLUSIVE")
        title = f"let {shown} be generated {self.kind} as identity"
        return instant(self.context, _CUTOVER, f"{shown}/identity", title, forth, back, back_title, locks=locks)
