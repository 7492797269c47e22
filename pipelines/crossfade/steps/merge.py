"""Duplicates merged into the row that is kept: found at one moment, then merged in batches, each with its children.

A batch locks rows that go and holds the kept ones; points what points at them at the kept ones; and deletes, putting
them aside, those at which nothing points any more. What somebody holds is left for a later pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from crossfade.catalog.model import Table
from crossfade.composing import sql
from crossfade.spec.fragment import Expression, trusted
from crossfade.steps.aside import Aside, forgotten, noted
from crossfade.steps.compose import any_leaf, equal, identifier, in_batch, lock, names, ours, per_leaf, same_key, text
from crossfade.steps.repoint import Repointing, kept
from crossfade.steps.step import AnyStep, Check, Ddl, Leg, Lock, Relation, Walk


@dataclass(frozen=True)
class Duplicates:
    """What makes rows of a table duplicates, and which is kept.

    by: each value with its type; NULL equals nothing. order: the first is kept; each value with its direction. where:
    the rows that count at all.
    """

    table: Table
    by: tuple[tuple[Expression, str], ...]
    order: tuple[tuple[Expression, str], ...]
    where: Expression | None

    def matches(self, row: str) -> sql.Composable:
        """The row may have a duplicate."""
        bare = self.table.name.name
        held: list[sql.Composable] = [sql.SQL("{} IS NOT NULL").format(value) for value in self.values(row)]
        if self.where is not None:
            held.append(self.where.render(bare, row))
        return sql.SQL("({})").format(sql.SQL(" AND ").join(held))

    def equals(self, left: str, right: str) -> sql.Composable:
        types = (type_ for _, type_ in self.by)
        pairs = zip(types, self.values(left), self.values(right), strict=True)
        return sql.SQL(" AND ").join(equal(*pair) for pair in pairs)

    def values(self, row: str | None) -> list[sql.Composable]:
        return [value.render(self.table.name.name, row) for value, _ in self.by]

    def window(self, row: str) -> sql.Composable:
        """The row's duplicates with itself, the one to be kept first."""
        order = [
            sql.SQL("{} {}").format(value.render(self.table.name.name, row), trusted(direction))
            for value, direction in self.order
        ]
        return sql.SQL("PARTITION BY {} ORDER BY {}").format(
            sql.SQL(", ").join(self.values(row)), sql.SQL(", ").join([*order, names(self.table.key, of=row)])
        )


@dataclass(frozen=True)
class Merge:
    """The duplicates there are when a leg comes to it.

    pairs: the name of the work list. children: every foreign key to the table. aside: where rows are put that go.
    free: run before rows come back, which are duplicates again. silent: the users' triggers must not fire for what is
    written and deleted.
    """

    id: str
    migration: str
    database: str
    leg: Leg
    of: Duplicates
    pairs: str
    children: tuple[Repointing, ...]
    aside: Aside
    keep_for: timedelta
    silent: bool
    free: tuple[AnyStep, ...] = ()

    @property
    def _table(self) -> Table:
        return self.of.table

    @property
    def _relation(self) -> Relation:
        return Relation(schema_name=self._table.name.schema, name=self._table.name.name)

    @property
    def _types(self) -> dict[str, str]:
        return {column.name: column.type for column in self._table.columns}

    @property
    def _asides(self) -> tuple[Aside, ...]:
        """Of the table and of children that lose rows, each once."""
        of_children = (child.aside for child in self.children if child.aside is not None)
        return tuple({aside.stored: aside for aside in (self.aside, *of_children)}.values())

    def steps(self) -> Iterator[AnyStep]:
        for aside in self._asides:
            yield aside.make_room(f"{self.id}/{aside.table.name}")
        for child in self.children:
            yield child.make_log()
        yield self._find()
        yield self._merge()
        if any(child.stays_in_doubt for child in self.children):
            yield self._ask()

    def _find(self) -> Ddl:
        place = sql.Identifier("crossfade", self.pairs)
        referenced = (column for child in self.children for column in child.key.referenced_columns)
        columns = tuple(dict.fromkeys((*self._table.key, *referenced)))
        found = sql.SQL(
            """
CREATE TABLE {place} WITH (fillfactor = 10) AS
SELECT {columns}, {kept} FROM (
  SELECT {columns_t}, {firsts}, pg_catalog.row_number() OVER w AS _cf_number FROM {table} AS t WHERE {matches}
  WINDOW w AS ({window})) AS ranked WHERE _cf_number > 1"""
        ).format(
            place=place,
            columns=names(columns),
            kept=names(map(kept, columns)),
            columns_t=names(columns, of="t"),
            firsts=sql.SQL(", ").join(
                sql.SQL("pg_catalog.first_value({}) OVER w AS {}").format(
                    sql.Identifier("t", column), sql.Identifier(kept(column))
                )
                for column in columns
            ),
            table=identifier(self._table.name),
            matches=self.of.matches("t"),
            window=self.of.window("t"),
        )
        return Ddl(
            id=f"{self.id}/find",
            leg=self.leg,
            database=self.database,
            title=f"find the duplicates in {self._table.name}, and which row is kept of each",
            locks=lock(self._relation, "ACCESS SHARE"),
            scans=True,
            statements=text(
                found,
                sql.SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(place, names(self._table.key)),
                sql.SQL("ANALYZE {}").format(place),
                noted(self.migration, str(self._table.name), self.pairs, columns, self.leg, self.keep_for),
            ),
            undo=(
                Ddl(
                    id=f"{self.id}/find/undo",
                    leg=self.leg,
                    database=self.database,
                    title=f"forget which rows of {self._table.name} were duplicates",
                    statements=text(*forgotten(self.pairs)),
                ),
            ),
            undo_title="forget them",
        )

    def _found(self, pairs: sql.Composable) -> sql.Composable:
        """The work list as `m`, each with the row that goes as `t` and the kept one as `k`."""
        return sql.SQL("{} AS m JOIN {table} AS t ON {} JOIN {table} AS k ON {}").format(
            pairs, self._goes(), self._stays(), table=identifier(self._table.name)
        )

    def _goes(self) -> sql.Composable:
        return same_key(self._table.key, self._types, "t", "m")

    def _stays(self) -> sql.Composable:
        return sql.SQL(" AND ").join(
            equal(self._types[column], sql.Identifier("k", column), sql.Identifier("m", kept(column)))
            for column in self._table.key
        )

    def _due(self) -> sql.Composable:
        """They are still duplicates, and nothing of the one has its like with the other where it may not."""
        still = [self.of.matches("t"), self.of.matches("k"), self.of.equals("t", "k")]
        stuck = [
            sql.SQL("NOT EXISTS (SELECT FROM {} AS c WHERE {} AND {})").format(
                identifier(child.child.name), child.points_at("c", "t"), child.meets_kept()
            )
            for child in self.children
            if child.stays_in_doubt
        ]
        return sql.SQL(" AND ").join([*still, *stuck])

    def _merge(self) -> Walk:
        leaf = any_leaf()
        in_range, due = in_batch("m"), self._due()
        # The kept row first: where somebody holds that, the other is not locked, so that `ours` of it tells of both.
        locked = sql.SQL(
            "SELECT FROM {} WHERE {} AND {} FOR SHARE OF k SKIP LOCKED FOR UPDATE OF t SKIP LOCKED"
        ).format(self._found(leaf), in_range, due)
        first: list[sql.Composable] = [locked]
        goes_itself = sql.SQL("EXISTS (SELECT FROM {} WHERE {} AND {})").format(
            self._found(sql.Identifier("crossfade", self.pairs)),
            same_key(self._table.key, self._types, "m", "c"),
            due,
        )
        for child in self.children:
            first += child.statements(self._found(leaf), sql.SQL("{} AND {}").format(in_range, due), goes_itself)
        gone = sql.SQL(
            """
WITH gone AS (
  DELETE FROM {table} AS t USING {leaf} AS m, {table} AS k
   WHERE {in_range} AND {goes} AND {stays} AND {ours} AND {due} AND NOT {pointed_at} RETURNING {columns})
{put}"""
        ).format(
            table=identifier(self._table.name),
            leaf=leaf,
            in_range=in_range,
            goes=self._goes(),
            stays=self._stays(),
            ours=ours("t"),
            due=due,
            pointed_at=_any(child.has_any("t") for child in self.children),
            columns=names(self.aside.columns, of="t"),
            put=self.aside.put(sql.SQL("gone")),
        )
        counted = sql.SQL("SELECT pg_catalog.count(*) FROM {} WHERE {}")
        listed = sql.SQL("SELECT m.ctid::text FROM {} WHERE {} AND {}")
        written = dict.fromkeys([self._relation, *(child.relation for child in self.children)])
        return Walk(
            id=self.id,
            leg=self.leg,
            database=self.database,
            title=f"merge the duplicates in {self._table.name}",
            locks=tuple(Lock(relation=relation, mode="ROW EXCLUSIVE") for relation in written),
            relation=Relation(schema_name="crossfade", name=self.pairs),
            first=tuple(map(per_leaf, first)),
            batch=per_leaf(gone),
            pending=counted.format(self._found(sql.Identifier("crossfade", self.pairs)), due).as_string(None),
            pending_rows=per_leaf(listed.format(self._found(leaf), in_range, due)),
            again=True,
            silent=self.silent,
            undo=(
                *self.free,
                *(aside.bring_back(f"{self.id}/{aside.table.name}") for aside in self._asides),
                *(child.point_back() for child in self.children),
            ),
            undo_title="bring the merged rows back, and what pointed at them and was not pointed elsewhere since",
        )

    def _ask(self) -> Check:
        """What holds up a merge; the rest is merged by now."""
        stuck = [child for child in self.children if child.stays_in_doubt]
        counts = [
            sql.SQL("(SELECT pg_catalog.count(*) FROM {} AS c, {} WHERE {} AND {}) AS {}").format(
                identifier(child.child.name),
                self._found(sql.Identifier("crossfade", self.pairs)),
                child.points_at("c", "m"),
                child.meets_kept(),
                sql.Identifier(f"rows of {child.child.name} whose like the kept row has too"),
            )
            for child in stuck
        ]
        return Check(
            id=f"{self.id}/left",
            leg=self.leg,
            database=self.database,
            title=f"ask that every duplicate in {self._table.name} could be merged",
            locks=tuple(Lock(relation=child.relation, mode="ACCESS SHARE") for child in stuck),
            query=sql.SQL("SELECT {}").format(sql.SQL(", ").join(counts)).as_string(None),
            fix="delete or change one of each two, then run `crossfade up` again; or take it back and say"
            " `conflicts: delete`",
        )


def _any(questions: Iterator[sql.Composable]) -> sql.Composable:
    found = [*questions]
    return sql.SQL("({})").format(sql.SQL(" OR ").join(found)) if found else sql.SQL("false")
