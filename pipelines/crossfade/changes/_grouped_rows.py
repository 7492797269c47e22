"""Rows of a table set group by group: those that are equal in some columns at once, with what all of them say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crossfade.changes._set_rows import GIVEN_BACK, SetRows
from crossfade.composing import sql
from crossfade.steps.aside import forgotten, noted
from crossfade.steps.compose import any_leaf, equal, identifier, in_batch, lock, names, ours, per_leaf, relation, text
from crossfade.steps.names import own_name
from crossfade.steps.step import BACKFILL, AnyStep, Check, Ddl, Relation, Walk


@dataclass(frozen=True)
class GroupedRows:
    """The groups there are when backfill comes to them, each in one batch; none where a column of `by` is NULL."""

    rows: SetRows
    by: tuple[str, ...]

    def refuse_unfit(self) -> None:
        """Groups that could not be told apart, or not be found without a scan."""
        context, table = self.rows.context, self.rows.table
        for index, name in enumerate(self.by):
            column = context.column(table, name, "group_by", index)
            with context.at("group_by", index):
                context.probe.key(column.type)
            if name in self.rows.columns:
                context.refuse(
                    f"{name} tells the groups of {table.name}, and is set",
                    why="a row would go over to another group",
                    at=("group_by", index),
                )
        wanted = frozenset(self.by)
        if not any(
            index.valid and index.predicate is None and frozenset(index.columns[: len(wanted)]) == wanted
            for index in table.indexes
        ):
            context.refuse(
                f"no index of {table.name} begins with {', '.join(self.by)}",
                why="each batch would read the whole table to find the rows of its groups",
                fix=f"create_index on {table.name} ({', '.join(self.by)}) in a migration that comes before",
                at=("group_by",),
            )

    def steps(self, values: Mapping[str, sql.Composable]) -> tuple[AnyStep, ...]:
        """values: over the row `t` and, in windows, over the others of its group."""
        return self.rows.make_room(), self._find(), self._walk(values), self._complete()

    @property
    def _list(self) -> str:
        context, table = self.rows.context, self.rows.table
        return own_name(context.migration, "groups", str(table.name), str(context.index))

    @property
    def _matches(self) -> sql.Composable:
        """The row `t` belongs to a group."""
        where, bare = self.rows.where, self.rows.table.name.name
        held: list[sql.Composable] = [sql.SQL("{} IS NOT NULL").format(sql.Identifier("t", name)) for name in self.by]
        return sql.SQL(" AND ").join([*held, *([where.render(bare, "t")] if where is not None else [])])

    @property
    def _same_group(self) -> sql.Composable:
        return sql.SQL(" AND ").join(
            equal(self.rows.table.by_name[name].type, sql.Identifier("t", name), sql.Identifier("m", name))
            for name in self.by
        )

    @property
    def _open(self) -> sql.Composable:
        """The group `m` is in no conflict."""
        return sql.SQL(
            "NOT EXISTS (SELECT FROM crossfade.conflict AS c WHERE c.migration = {} AND c.relation = {} AND c.key = {}"
            " AND c.resolved_at IS NULL)"
        ).format(sql.Literal(self.rows.context.migration), sql.Literal(str(self.rows.table.name)), self._key)

    @property
    def _key(self) -> sql.Composable:
        parts = (sql.SQL("{}, m.{}").format(sql.Literal(name), sql.Identifier(name)) for name in self.by)
        return sql.SQL("pg_catalog.jsonb_build_object({})").format(sql.SQL(", ").join(parts))

    def _find(self) -> Ddl:
        context, table = self.rows.context, self.rows.table
        # Few in a block, since a batch takes whole blocks, and a group may have many rows.
        found = sql.SQL("CREATE TABLE {} WITH (fillfactor = 10) AS SELECT DISTINCT {} FROM {} AS t WHERE {}").format(
            self._place, names(self.by, of="t"), identifier(table.name), self._matches
        )
        return Ddl(
            id=f"{self.rows.id}/groups",
            leg=BACKFILL,
            database=context.database,
            title=f"list the groups of {table.name} by {', '.join(self.by)}",
            locks=lock(relation(table.name), "ACCESS SHARE"),
            scans=True,
            statements=text(
                found,
                sql.SQL("ANALYZE {}").format(self._place),
                noted(context.migration, str(table.name), self._list, self.by, BACKFILL, context.head.contract.keep),
            ),
            undo=(
                Ddl(
                    id=f"{self.rows.id}/groups/undo",
                    leg=BACKFILL,
                    database=context.database,
                    title=f"drop the list of groups of {table.name}",
                    statements=text(*forgotten(self._list)),
                ),
            ),
            undo_title="drop the list",
        )

    @property
    def _place(self) -> sql.Identifier:
        return sql.Identifier("crossfade", self._list)

    def _walk(self, values: Mapping[str, sql.Composable]) -> Walk:
        context, table, columns = self.rows.context, self.rows.table, self.rows.columns
        key = table.key
        in_range = sql.SQL("{} AND {}").format(in_batch("m"), self._open)
        locked = sql.SQL("SELECT FROM {} AS m JOIN {} AS t ON {} WHERE {} AND {} FOR UPDATE OF t SKIP LOCKED").format(
            any_leaf(), identifier(table.name), self._same_group, in_range, self._matches
        )
        # A group of which somebody holds a row waits as a whole. What a row holds that came to it from a group done
        # before is set once more, and the oldest of its values kept.
        batch = sql.SQL(
            """
WITH batch AS MATERIALIZED (
  SELECT s.* FROM {leaf} AS m CROSS JOIN LATERAL (
    SELECT t.tableoid AS _cf_table, t.ctid AS _cf_row, {key_t}, {old_t}, {values},
           pg_catalog.bool_and({mine}) OVER () AS _cf_whole
      FROM {table} AS t WHERE {same_group} AND {matches}) AS s
   WHERE {in_range} AND s._cf_whole),
written AS (
  UPDATE {table} AS t SET {set} FROM batch
   WHERE t.ctid = ANY (ARRAY(SELECT b._cf_row FROM batch AS b)) AND t.ctid = batch._cf_row
     AND t.tableoid = batch._cf_table RETURNING {key_t}, {old_t}),
done AS (
  DELETE FROM {leaf} AS m WHERE {in_range}
     AND NOT EXISTS (SELECT FROM {table} AS t WHERE {same_group} AND {matches} AND NOT {mine}))
INSERT INTO {place} ({key}, {old}, {new})
SELECT {key_b}, {old_b}, {old_w} FROM batch JOIN written AS w ON {same_key}
    ON CONFLICT ({key}) DO UPDATE SET {kept}"""
        ).format(
            leaf=any_leaf(),
            table=identifier(table.name),
            same_group=self._same_group,
            matches=self._matches,
            in_range=in_range,
            mine=ours("t"),
            key=names(key),
            key_t=names(key, of="t"),
            key_b=names(key, of="batch"),
            old=names(columns),
            old_t=names(columns, of="t"),
            old_b=names(columns, of="batch"),
            old_w=names(columns, of="w"),
            new=names(map(self.rows.new, columns)),
            values=sql.SQL(", ").join(
                sql.SQL("{} AS {}").format(value, sql.Identifier(self.rows.new(name))) for name, value in values.items()
            ),
            set=sql.SQL(", ").join(
                sql.SQL("{} = batch.{}").format(sql.Identifier(name), sql.Identifier(self.rows.new(name)))
                for name in columns
            ),
            same_key=self.rows.same_key("batch", "w"),
            place=self.rows.place,
            kept=sql.SQL(", ").join(
                sql.SQL("{n} = excluded.{n}").format(n=sql.Identifier(self.rows.new(name))) for name in columns
            ),
        )
        conflict = sql.SQL("SELECT crossfade.note_conflict({}, {}, {}, $3) FROM {} AS m WHERE {}").format(
            sql.Literal(context.migration), sql.Literal(str(table.name)), self._key, any_leaf(), in_range
        )
        return Walk(
            id=self.rows.id,
            leg=BACKFILL,
            database=context.database,
            title=f"set {', '.join(columns)} of {table.name}, group by group",
            locks=lock(relation(table.name), "ROW EXCLUSIVE"),
            relation=Relation(schema_name="crossfade", name=self._list),
            first=(per_leaf(locked),),
            batch=per_leaf(batch),
            conflict=per_leaf(conflict),
            retry=self.rows.retried,
            pending=sql.SQL("SELECT pg_catalog.count(*) FROM {} AS m WHERE {}")
            .format(self._place, self._open)
            .as_string(None),
            pending_rows=per_leaf(sql.SQL("SELECT m.ctid::text FROM {} AS m WHERE {}").format(any_leaf(), in_range)),
            silent=self.rows.silent,
            undo=(self.rows.walk_back(),),
            undo_title=GIVEN_BACK,
        )

    def _complete(self) -> Check:
        context, table = self.rows.context, self.rows.table
        return Check(
            id=f"{self.rows.id}/complete",
            leg=BACKFILL,
            database=context.database,
            title=f"ask that every group of {table.name} could be set",
            locks=lock(relation(table.name), "ACCESS SHARE"),
            query=sql.SQL('SELECT pg_catalog.count(*) AS "groups whose rows could not be set" FROM {}')
            .format(self._place)
            .as_string(None),
            fix=f"`crossfade conflicts {context.migration}` lists them; mend their rows, then run `crossfade up`",
        )
