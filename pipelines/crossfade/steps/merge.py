"""Duplicates merged into the row that is kept: found at one moment, then merged in batches, each with its children.

What somebody holds is left for a later pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from crossfade.catalog.model import Table
from crossfade.composing import sql
from crossfade.spec.fragment import Expression
from crossfade.steps.aside import Aside, forgotten, noted
from crossfade.steps.compose import identifier, lock, names, per_leaf, relation, text
from crossfade.steps.duplicates import LEADS, Pairs
from crossfade.steps.names import own_name
from crossfade.steps.old_values import OldValues
from crossfade.steps.pair_by_pair import PairByPair
from crossfade.steps.repoint import Repointing, kept
from crossfade.steps.set_by_set import SetBySet
from crossfade.steps.step import AnyStep, Check, Ddl, Leg, Lock, Relation, Walk


class Batches(Protocol):
    """What a Walk over the work list does in one transaction."""

    def first(self) -> Iterator[sql.Composable]: ...
    def batch(self) -> sql.Composable: ...
    def pending(self) -> sql.Composable: ...
    def pending_rows(self) -> sql.Composable: ...

    def stuck(self) -> Iterator[tuple[Repointing, sql.Composable]]:
        """Foreign keys with what holds a merge up: a row `c` that points at one that goes, of the pair `m`."""
        ...


@dataclass(frozen=True)
class Merge:
    """The duplicates there are when a leg comes to it.

    pairs: the work list. children: every foreign key to the table. aside: where rows are put that go. combine: what the
    kept row gets of all; empty: it stays as it is. free: run before rows come back, which are duplicates again. silent:
    the users' triggers must not fire for what is written and deleted.
    """

    id: str
    migration: str
    database: str
    leg: Leg
    pairs: Pairs
    children: tuple[Repointing, ...]
    aside: Aside
    combine: Mapping[str, Expression]
    keep_for: timedelta
    silent: bool
    free: tuple[AnyStep, ...] = ()

    @property
    def _table(self) -> Table:
        return self.pairs.of.table

    @property
    def _relation(self) -> Relation:
        return relation(self._table.name)

    @property
    def _asides(self) -> tuple[Aside, ...]:
        """Of the table and of children that lose rows, each once."""
        of_children = (child.aside for child in self.children if child.aside is not None)
        return tuple({aside.stored: aside for aside in (self.aside, *of_children)}.values())

    @property
    def _sets(self) -> SetBySet:
        stored = own_name(self.migration, "before", self.id, str(self._table.name))
        columns = tuple(self.combine)
        old = OldValues(self.migration, self.database, self.leg, self._table, columns, stored, self.keep_for)
        return SetBySet(self.pairs, self.children, self.aside, self.combine, old, self.silent)

    @property
    def _batches(self) -> Batches:
        return self._sets if self.combine else PairByPair(self.pairs, self.children, self.aside)

    def steps(self) -> Iterator[AnyStep]:
        for aside in self._asides:
            yield aside.make_room(f"{self.id}/{aside.table.name}")
        for child in self.children:
            yield child.make_log()
        if self.combine:
            yield self._sets.old.make_room(f"{self.id}/values/keep")
        yield self._find()
        yield self._combine(self._merge()) if self.combine else self._merge()
        if any(child.stays_in_doubt for child in self.children):
            yield self._ask()
        if self.combine:
            yield self._ask_values()

    def _find(self) -> Ddl:
        place = self.pairs.sql
        referenced = (column for child in self.children for column in child.key.referenced_columns)
        columns = tuple(dict.fromkeys((*self._table.key, *referenced)))
        found = sql.SQL(
            """
CREATE TABLE {place} WITH (fillfactor = 10) AS
SELECT {columns}, {kept}, _cf_number = 2 AS {leads} FROM (
  SELECT {columns_t}, {firsts}, pg_catalog.row_number() OVER w AS _cf_number FROM {table} AS t WHERE {matches}
  WINDOW w AS ({window})) AS ranked WHERE _cf_number > 1"""
        ).format(
            place=place,
            columns=names(columns),
            kept=names(map(kept, columns)),
            leads=sql.Identifier(LEADS),
            columns_t=names(columns, of="t"),
            firsts=sql.SQL(", ").join(
                sql.SQL("pg_catalog.first_value({}) OVER w AS {}").format(
                    sql.Identifier("t", column), sql.Identifier(kept(column))
                )
                for column in columns
            ),
            table=identifier(self._table.name),
            matches=self.pairs.of.matches("t"),
            window=self.pairs.of.window("t"),
        )
        keys = [sql.SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(place, names(self._table.key))]
        if self.combine:
            keys.append(sql.SQL("CREATE INDEX ON {} ({})").format(place, names(map(kept, self._table.key))))
        return Ddl(
            id=f"{self.id}/find",
            leg=self.leg,
            database=self.database,
            title=f"find the duplicates in {self._table.name}, and which row is kept of each",
            locks=lock(self._relation, "ACCESS SHARE"),
            scans=True,
            statements=text(
                found,
                *keys,
                sql.SQL("ANALYZE {}").format(place),
                noted(self.migration, str(self._table.name), self.pairs.stored, columns, self.leg, self.keep_for),
            ),
            undo=(
                Ddl(
                    id=f"{self.id}/find/undo",
                    leg=self.leg,
                    database=self.database,
                    title=f"forget which rows of {self._table.name} were duplicates",
                    statements=text(*forgotten(self.pairs.stored)),
                ),
            ),
            undo_title="forget them",
        )

    def _merge(self) -> Walk:
        batches = self._batches
        written = dict.fromkeys([self._relation, *(child.relation for child in self.children)])
        return Walk(
            id=self.id,
            leg=self.leg,
            database=self.database,
            title=f"merge the duplicates in {self._table.name}",
            locks=tuple(Lock(relation=relation, mode="ROW EXCLUSIVE") for relation in written),
            relation=Relation(schema_name="crossfade", name=self.pairs.stored),
            first=tuple(map(per_leaf, batches.first())),
            batch=per_leaf(batches.batch()),
            pending=batches.pending().as_string(None),
            pending_rows=per_leaf(batches.pending_rows()),
            again=True,
            silent=self.silent,
            undo=(
                *self.free,
                *(aside.bring_back(f"{self.id}/{aside.table.name}") for aside in self._asides),
                *(child.point_back() for child in self.children),
            ),
            undo_title="bring the merged rows back, and what pointed at them and was not pointed elsewhere since",
        )

    def _combine(self, merge: Walk) -> Walk:
        """The same with values, which a set may not be able to take."""
        back = self._sets.give_back(self.id)
        return merge.model_copy(
            update={
                "title": f"{merge.title}, and combine {', '.join(self.combine)}",
                "conflict": per_leaf(self._sets.conflict()),
                "retry": self._sets.retry().as_string(None),
                # First of all: what comes back may hold what the kept row holds of it, under a unique rule.
                "undo": (*self.free, back, *merge.undo[len(self.free) :]),
                "undo_title": "give kept rows their old values back, where nobody has written since; "
                + merge.undo_title,
            }
        )

    def _ask(self) -> Check:
        """What holds up a merge; the rest is merged by now."""
        stuck = [*self._batches.stuck()]
        counts = [
            sql.SQL("(SELECT pg_catalog.count(*) FROM {} AS c, {} WHERE {} AND {} AND {}) AS {}").format(
                identifier(child.child.name),
                self.pairs.found(self.pairs.sql),
                child.points_at("c", "m"),
                self.pairs.still("t", "k"),
                meets,
                sql.Identifier(f"rows of {child.child.name} whose like the kept row has too"),
            )
            for child, meets in stuck
        ]
        return Check(
            id=f"{self.id}/left",
            leg=self.leg,
            database=self.database,
            title=f"ask that every duplicate in {self._table.name} could be merged",
            locks=tuple(Lock(relation=child.relation, mode="ACCESS SHARE") for child, _ in stuck),
            query=sql.SQL("SELECT {}").format(sql.SQL(", ").join(counts)).as_string(None),
            fix="delete or change one of each two, then run `crossfade up` again; or take it back and say"
            " `conflicts: delete`",
        )

    def _ask_values(self) -> Check:
        return Check(
            id=f"{self.id}/values",
            leg=self.leg,
            database=self.database,
            title=f"ask that every kept row of {self._table.name} could take its values",
            locks=lock(self._relation, "ACCESS SHARE"),
            query=self._sets.uncombined().as_string(None),
            fix=f"`crossfade conflicts {self.migration}` lists the kept rows; mend them or their duplicates, then run"
            " `crossfade up` again",
        )
