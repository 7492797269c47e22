"""Duplicates merged set by set: the kept row gets what all rows of its set say, when all the others go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from crossfade.composing import sql
from crossfade.spec.fragment import Expression
from crossfade.steps.aside import Aside
from crossfade.steps.compose import any_leaf, identifier, in_batch, lock, names, ours, per_leaf, relation
from crossfade.steps.conflicts import resolved
from crossfade.steps.duplicates import LEADS, Pairs
from crossfade.steps.old_values import OldValues
from crossfade.steps.repoint import Repointing, kept, points_at_any
from crossfade.steps.step import Relation, Walk


@dataclass(frozen=True)
class SetBySet:
    """A batch locks sets whole, kept rows too; points what points at their rows at the kept ones; and, once nothing
    points at any that goes, deletes these, putting them aside, and gives the kept row what all of them say. Nothing is
    done with a set of which somebody holds a row. What a batch counts are sets.

    The first pair of a set, `s`, stands for it in the walk. values: by column, SQL with aggregates over the set's rows.
    old: where those of the kept rows are kept.
    """

    pairs: Pairs
    children: tuple[Repointing, ...]
    aside: Aside
    values: Mapping[str, Expression]
    old: OldValues
    silent: bool

    def first(self) -> Iterator[sql.Composable]:
        # The kept row first: where somebody holds that, the others are not locked.
        yield sql.SQL("SELECT FROM {} WHERE {} FOR UPDATE OF k SKIP LOCKED FOR UPDATE OF t SKIP LOCKED").format(
            self._found(self._ready), self.pairs.still("t", "k")
        )
        in_hands = self._found(self._ready, self._in_hands)
        for child in self.children:
            yield from child.statements(in_hands, self.pairs.still("t", "k"), beside=self._beside)
        yield self._combine()

    def batch(self) -> sql.Composable:
        """After the others are gone, of which one may hold what a unique rule allows once."""
        # A trigger may have had its say in what was written.
        return sql.SQL(
            """
WITH written AS (
  UPDATE {table} AS k SET {set} FROM {leaf} AS s JOIN {old} AS a ON {of_set}
   WHERE {in_range} AND {leads} AND {same} AND {noted_now} RETURNING {key_k}, {columns_k})
UPDATE {old} AS a SET {seen} FROM written AS w WHERE {same_w}"""
        ).format(
            table=self.pairs.table,
            leaf=any_leaf(),
            old=self.old.sql,
            of_set=self.pairs.stays("a", "s"),
            in_range=in_batch("s"),
            leads=sql.Identifier("s", LEADS),
            same=self.old.same_key("k", "a"),
            noted_now=ours("a"),
            key_k=names(self._key, of="k"),
            columns_k=names(self._columns, of="k"),
            same_w=self.old.same_key("a", "w"),
            set=_assigned((name, "a", self.old.new(name)) for name in self._columns),
            seen=_assigned((self.old.new(name), "w", name) for name in self._columns),
        )

    def pending(self) -> sql.Composable:
        return sql.SQL("SELECT pg_catalog.count(*) FROM {}").format(self._sets(self.pairs.sql, self._ready))

    def pending_rows(self) -> sql.Composable:
        return sql.SQL("SELECT s._cf_at::text FROM {}").format(self._batch(self._ready))

    def stuck(self) -> Iterator[tuple[Repointing, sql.Composable]]:
        for child in self.children:
            if child.stays_in_doubt:
                yield child, child.meets_like(self._beside)

    def conflict(self) -> sql.Composable:
        return sql.SQL("SELECT crossfade.note_conflict({}, {}, {}, $3) FROM {}").format(
            *self._told, self._batch(self._ready)
        )

    def retry(self) -> sql.Composable:
        return resolved(self.old.migration, str(self.old.table.name))

    def uncombined(self) -> sql.Composable:
        """A query for how many sets could not be combined, and were not mended since."""
        return sql.SQL("SELECT pg_catalog.count(*) AS {} FROM {}").format(
            sql.Identifier("sets of duplicates whose values could not be set"),
            self._sets(self.pairs.sql, self._any(), sql.SQL("EXISTS ({})").format(self._conflict)),
        )

    def give_back(self, step_id: str) -> Walk:
        """Each row once: what is given back leaves the table of old values in the same statement."""
        in_range, leaf = in_batch("a"), any_leaf()
        untouched = sql.SQL("{} AND ROW({})::record *= ROW({})::record").format(
            self.old.same_key("k", "a"), names(self._columns, of="k"), names(map(self.old.new, self._columns), of="a")
        )
        batch = sql.SQL(
            """
WITH due AS MATERIALIZED (
  SELECT k.tableoid AS _cf_table, k.ctid AS _cf_row, a.ctid AS _cf_old, {columns_a}
    FROM {leaf} AS a JOIN {table} AS k ON {untouched} WHERE {in_range} FOR UPDATE OF k SKIP LOCKED),
back AS (
  UPDATE {table} AS k SET {set} FROM due
   WHERE k.ctid = ANY (ARRAY(SELECT _cf_row FROM due)) AND k.ctid = due._cf_row AND k.tableoid = due._cf_table)
DELETE FROM {leaf} AS a USING due WHERE a.ctid = due._cf_old AND {in_range}"""
        ).format(
            columns_a=names(self._columns, of="a"),
            leaf=leaf,
            table=self.pairs.table,
            untouched=untouched,
            in_range=in_range,
            set=_assigned((name, "due", name) for name in self._columns),
        )
        found = sql.SQL("{} AS a JOIN {} AS k ON {}")
        return Walk(
            id=f"{step_id}/values/undo",
            leg=self.old.leg,
            database=self.old.database,
            title=f"give kept rows of {self.old.table.name} their old values back ({', '.join(self._columns)})",
            locks=lock(relation(self.old.table.name), "ROW EXCLUSIVE"),
            relation=Relation(schema_name="crossfade", name=self.old.stored),
            batch=per_leaf(batch),
            pending=sql.SQL("SELECT pg_catalog.count(*) FROM {}")
            .format(found.format(self.old.sql, self.pairs.table, untouched))
            .as_string(None),
            pending_rows=per_leaf(
                sql.SQL("SELECT a.ctid::text FROM {} WHERE {}").format(
                    found.format(leaf, self.pairs.table, untouched), in_range
                )
            ),
            silent=self.silent,
            unknown=sql.SQL("SELECT pg_catalog.count(*) FROM {}")
            .format(found.format(self.old.sql, self.pairs.table, self.old.same_key("k", "a")))
            .as_string(None),
        )

    # --- sets ----------------------------------------------------------------------------------------

    def _combine(self) -> sql.Composable:
        """Note what the kept row shall hold, and delete the others: in one statement, so that both take the same rows.

        The rows of a set come in the order of `keep`, the kept one first. GROUP BY () makes one row of them, and keeps
        PostgreSQL from sorting them by what one of several aggregates wants.
        """
        columns = [column.name for column in self.old.table.columns]
        bare = self.old.table.name.name
        asked = {name: value for name, value in self.values.items() if not value.is_constant}
        return sql.SQL(
            """
WITH combined AS (
  INSERT INTO {old} AS a ({key}, {olds}, {news})
  SELECT {key_k}, {olds_k}, {given}
    FROM {sets} JOIN {table} AS k ON {stays} CROSS JOIN LATERAL (
      SELECT {values} FROM (
        SELECT * FROM (
          SELECT false AS _cf_goes, {columns_k} UNION ALL
          SELECT true, {columns_t} FROM {found} WHERE {of_set} AND {still}) AS t
        ORDER BY t._cf_goes, {order}) AS t
      GROUP BY ()) AS c
  -- What came to be a duplicate again is combined later: with what is there then, which somebody may have written.
  ON CONFLICT ({key}) DO UPDATE SET {chained} RETURNING {key_a}),
gone AS (
  DELETE FROM {table} AS t USING combined AS a, {pairs} AS m, {table} AS k
   WHERE {noted} AND {stays_m} AND {goes_m} AND {still} AND {mine} RETURNING {aside})
{put}"""
        ).format(
            old=self.old.sql,
            key=names(self._key),
            key_a=names(self._key, of="a"),
            key_k=names(self._key, of="k"),
            olds=names(self._columns),
            olds_k=names(self._columns, of="k"),
            news=names(map(self.old.new, self._columns)),
            # A bare literal takes the column's type where it stands in the INSERT's own list only.
            given=sql.SQL(", ").join(
                sql.Identifier("c", self.old.new(name)) if name in asked else value.render(bare, None)
                for name, value in self.values.items()
            ),
            sets=self._batch(self._ready, self._in_hands, self._alone),
            table=self.pairs.table,
            stays=self.pairs.stays("k", "s"),
            values=sql.SQL(", ").join(
                sql.SQL("{} AS {}").format(value.render(bare, "t"), sql.Identifier(self.old.new(name)))
                for name, value in asked.items()
            ),
            columns_k=names(columns, of="k"),
            columns_t=names(columns, of="t"),
            found=self.pairs.found(self.pairs.sql),
            of_set=self.pairs.same_kept("m", "s"),
            still=self.pairs.still("t", "k"),
            order=self.pairs.of.order_of("t"),
            chained=self._chained,
            pairs=self.pairs.sql,
            noted=self.pairs.stays("a", "m"),
            stays_m=self.pairs.stays("k", "m"),
            goes_m=self.pairs.goes("t", "m"),
            mine=ours("t"),
            aside=names(self.aside.columns, of="t"),
            put=self.aside.put(sql.SQL("gone")),
        )

    @property
    def _chained(self) -> sql.Composable:
        """The oldest value stays, unless somebody has written since we set one: what he wrote is the old one then."""
        untouched = sql.SQL("ROW({})::record *= ROW({})::record").format(
            names(map(self.old.new, self._columns), of="a"), names(self._columns, of="excluded")
        )
        olds = [
            sql.SQL("{c} = CASE WHEN {same} THEN a.{c} ELSE excluded.{c} END").format(
                c=sql.Identifier(name), same=untouched
            )
            for name in self._columns
        ]
        news = _assigned((self.old.new(name), "excluded", self.old.new(name)) for name in self._columns)
        return sql.SQL(", ").join([*olds, news])

    def _batch(self, *asked: sql.Composable) -> sql.Composable:
        return self._sets(any_leaf(), in_batch("s"), *asked)

    def _sets(self, pairs: sql.Composable, *asked: sql.Composable) -> sql.Composable:
        """Sets as `s`. asked: of `s`, and of the kept row, `k`."""
        # Fenced, so that a set is asked for once, and not for each of its pairs.
        return sql.SQL("(SELECT s.*, s.ctid AS _cf_at FROM {} AS s JOIN {} AS k ON {} WHERE {} OFFSET 0) AS s").format(
            pairs,
            self.pairs.table,
            self.pairs.stays("k", "s"),
            sql.SQL(" AND ").join([sql.Identifier("s", LEADS), *asked]),
        )

    def _found(self, *asked: sql.Composable) -> sql.Composable:
        """Pairs of such sets of the batch, with their rows."""
        return sql.SQL("{} JOIN {} ON {}").format(
            self._batch(*asked), self.pairs.found(self.pairs.sql), self.pairs.same_kept("m", "s")
        )

    def _any(self, *which: sql.Composable) -> sql.Composable:
        """A row `t` of the set `s` that is still a duplicate is such a one."""
        return sql.SQL("EXISTS (SELECT FROM {} WHERE {})").format(
            self.pairs.found(self.pairs.sql),
            sql.SQL(" AND ").join([self.pairs.same_kept("m", "s"), self.pairs.still("t", "k"), *which]),
        )

    @property
    def _ready(self) -> sql.Composable:
        """There is something to merge, nothing that points at its rows is in doubt, and it is in no conflict."""
        stuck = [
            sql.SQL("NOT {}").format(
                self._any(
                    sql.SQL("EXISTS (SELECT FROM {} AS c WHERE {} AND {})").format(
                        identifier(child.child.name), child.points_at("c", "t"), meets
                    )
                )
            )
            for child, meets in self.stuck()
        ]
        open_ = sql.SQL("NOT EXISTS ({} AND c.resolved_at IS NULL)").format(self._conflict)
        return sql.SQL(" AND ").join([self._any(), *stuck, open_])

    @property
    def _in_hands(self) -> sql.Composable:
        return sql.SQL("{} AND NOT {}").format(ours("k"), self._any(sql.SQL("NOT {}").format(ours("t"))))

    @property
    def _alone(self) -> sql.Composable:
        """Nothing points at a row that goes."""
        return sql.SQL("NOT {}").format(self._any(points_at_any(self.children, "t")))

    @property
    def _beside(self) -> sql.Composable:
        return sql.SQL("{} AS n JOIN {} AS u ON {} AND {}").format(
            self.pairs.sql, self.pairs.table, self.pairs.goes("u", "n"), self.pairs.still("u", "k")
        )

    @property
    def _conflict(self) -> sql.Composable:
        return sql.SQL(
            "SELECT FROM crossfade.conflict AS c WHERE c.migration = {} AND c.relation = {} AND c.key = {}"
        ).format(*self._told)

    @property
    def _told(self) -> tuple[sql.Composable, ...]:
        """The migration, the table and the kept row's key, as conflicts have them."""
        key = (sql.SQL("{}, {}").format(sql.Literal(column), sql.Identifier("s", kept(column))) for column in self._key)
        return (
            sql.Literal(self.old.migration),
            sql.Literal(str(self.old.table.name)),
            sql.SQL("pg_catalog.jsonb_build_object({})").format(sql.SQL(", ").join(key)),
        )

    @property
    def _key(self) -> tuple[str, ...]:
        return self.old.table.key

    @property
    def _columns(self) -> tuple[str, ...]:
        return self.old.columns


def _assigned(columns: Iterable[tuple[str, str, str]]) -> sql.Composable:
    """For SET: a column, and where its value is found."""
    return sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Identifier(row, value)) for name, row, value in columns
    )
