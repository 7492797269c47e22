"""update_rows: existing rows changed in batches, each row once, with their old values kept for the undo."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from crossfade.catalog.model import Table
from crossfade.changes._change import Change, Compiled, Mapped
from crossfade.changes._context import Context, relation
from crossfade.changes._mapping import checked
from crossfade.changes._obstacles import refuse_branched
from crossfade.changes._silence import is_silent
from crossfade.composing import sql
from crossfade.spec.fragment import Expression
from crossfade.spec.values import Identifier
from crossfade.steps.aside import forgotten, noted
from crossfade.steps.compose import any_leaf, identifier, lock, names, ours, per_leaf, same_key, text
from crossfade.steps.conflicts import resolved
from crossfade.steps.names import own_name
from crossfade.steps.step import BACKFILL, Check, Ddl, Walk


class UpdateRows(Change):
    """Change values of existing rows in batches, each row once.

    It runs in backfill, beside live traffic, and does not map what is written later. Old values are kept in a table
    of the schema `crossfade`.

    A value may come from other rows by a sub-select: joined from a parent, or an aggregate of children, which may be
    columns of other rows, an array or JSON. The row is locked before they are asked, FOR UPDATE, so that no child comes
    in between: a counter that an application moves in the transaction that brings or takes the child is right
    afterwards, however often that happens meanwhile.

    ## Old and new versions

    Both see each row's new values when its batch is done.

    ## Undo

    Gives rows their old values back, by key, where nobody has written since. A row that was deleted and inserted
    again under its key, with the very values that were set, cannot be told from the one before.

    ## Locks

    The rows of a batch, for about as long as `backfill.target`; nothing on the table that makes reads or writes
    wait.

    ## Hazards

    A table without a primary key, or a unique index over NOT NULL columns, is refused: the old values could not be
    given back.

    ## Example

    ```yaml
    changes:
      - update_rows:
          table: flights
          set: {tailnum: "NULL"}
          where: NOT EXISTS (SELECT FROM planes AS known WHERE known.tailnum = flights.tailnum)
    ```
    """

    table: Identifier = Field(description="The table; it needs a primary key, or a unique index over NOT NULL columns.")
    set: Annotated[dict[Identifier, Expression], Field(min_length=1, description="For each column, SQL over the row.")]
    where: Expression | None = Field(None, description="SQL over the row: which rows; without it all.")

    def compile(self, context: Context) -> Compiled:
        """A place for the old values, a walk, and the question whether it is complete."""
        table = context.table(self.table)
        if table.partition_of is None:
            refuse_branched(context, table)
        if not table.key:
            context.refuse(
                f"{table.name} has no primary key or unique NOT NULL index",
                why="a row that was updated already could not be told from one that was not",
                fix="give the table a key first",
            )
        row = context.row_types(table)
        for name, value in self.set.items():
            column = context.column(table, name, "set", name)
            if name in table.key:
                context.refuse(f"{name} is in the key of {table.name}", why="the key tells which rows are done")
            if column.generated:
                context.refuse(f"{table.name}.{name} is a generated column", why="it cannot be written")
            checked(context, table, value, row=row, wanted=column.type, field=f"set of {name}", at=("set", name))
        if self.where is not None:
            checked(context, table, self.where, row=row, wanted="boolean", field="where")
        silent = self._silent(context, table)
        maps = tuple(
            Mapped(table.name, name, tuple(sorted(value.columns(table.name.name))), value.text)
            for name, value in self.set.items()
        )
        walk = self._walk(context, table, silent)
        return Compiled(steps=(self._make_room(context, table), walk, self._complete(context, table, walk)), maps=maps)

    def _silent(self, context: Context, table: Table) -> bool:
        """User triggers do not fire, unless the spec says so; where foreign keys need theirs, it must."""
        if not is_silent(context.catalog, context.head, table.name, where=context.where, done="set"):
            return False
        keyed = {
            column
            for key in (*context.catalog.references_from(table.name), *context.catalog.references_to(table.name))
            for column in (key.columns if key.child == table.name else key.referenced_columns)
        }
        if keyed & set(self.set):
            context.refuse(
                f"{', '.join(sorted(keyed & set(self.set)))} of {table.name} is in a foreign key, and"
                f" trigger {context.catalog.fired_by('update', table.name)[0].name} would fire",
                why="what silences user triggers silences the foreign key's check too",
                fix="say `backfill: {fire_triggers: true}`",
            )
        return True

    @property
    def _asks_elsewhere(self) -> bool:
        """A value, or whether the row matches, comes from other rows."""
        fragments = [*self.set.values(), *([self.where] if self.where is not None else [])]
        return any("SubLink" in fragment.nodes for fragment in fragments)

    def _stored(self, context: Context, table: Table) -> str:
        return own_name(context.migration, "before", str(table.name), str(context.index))

    def _new(self, column: str) -> str:
        """Where the archive keeps the value we set, to see whether somebody has written since."""
        return own_name("set", column)

    def _make_room(self, context: Context, table: Table) -> Ddl:
        stored = self._stored(context, table)
        place = sql.Identifier("crossfade", stored)
        columns = sql.SQL(", ").join(
            sql.SQL("{c}, {c} AS {n}").format(c=sql.Identifier(name), n=sql.Identifier(self._new(name)))
            for name in self.set
        )
        step_id = f"{table.name}/update/{context.index}/keep"
        return Ddl(
            id=step_id,
            leg=BACKFILL,
            database=context.database,
            title=f"make room for the old values of {table.name} ({', '.join(self.set)})",
            statements=text(
                sql.SQL("CREATE TABLE {} AS SELECT {}, {} FROM {} WITH NO DATA").format(
                    place, names(table.key), columns, identifier(table.name)
                ),
                sql.SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(place, names(table.key)),
                noted(context.migration, str(table.name), stored, (*self.set,), BACKFILL, context.head.contract.keep),
            ),
            undo=(
                Ddl(
                    id=f"{step_id}/undo",
                    leg=BACKFILL,
                    database=context.database,
                    title=f"drop the kept values of {table.name}",
                    statements=text(*forgotten(stored)),
                ),
            ),
            undo_title="drop the kept values",
        )

    def _unset(self, context: Context, table: Table) -> sql.Composable:
        """The row `t` is to be set and was not."""
        return sql.SQL("({}) AND NOT EXISTS (SELECT FROM {} AS a WHERE {})").format(
            self.where.render(table.name.name, "t") if self.where is not None else sql.SQL("true"),
            sql.Identifier("crossfade", self._stored(context, table)),
            _same_key(table, "a", "t"),
        )

    def _conflict(self, context: Context, table: Table) -> sql.Composable:
        """The note of a conflict of the row `t`, open or not."""
        return sql.SQL(
            "SELECT FROM crossfade.conflict AS c WHERE c.migration = {} AND c.relation = {} AND c.key = {}"
        ).format(sql.Literal(context.migration), sql.Literal(str(table.name)), self._key_json(table))

    def _key_json(self, table: Table) -> sql.Composable:
        return sql.SQL("pg_catalog.jsonb_build_object({})").format(
            sql.SQL(", ").join(sql.SQL("{}, t.{}").format(sql.Literal(c), sql.Identifier(c)) for c in table.key)
        )

    def _walk(self, context: Context, table: Table, silent: bool) -> Walk:
        place = sql.Identifier("crossfade", self._stored(context, table))
        key, bare = table.key, table.name.name
        key_json = self._key_json(table)
        due = sql.SQL("{} AND NOT EXISTS ({} AND c.resolved_at IS NULL)").format(
            self._unset(context, table), self._conflict(context, table)
        )
        in_range = sql.SQL("t.ctid >= $1::tid AND t.ctid < $2::tid")
        # What other rows say is asked once the row is locked: a count of its children, say, while they come and go.
        locked = sql.SQL("SELECT FROM {} AS t WHERE {} AND {} FOR UPDATE SKIP LOCKED").format(any_leaf(), in_range, due)
        batch = sql.SQL(
            """
WITH batch AS MATERIALIZED (
  SELECT t.ctid, {key_t}, {old_t} FROM {leaf} AS t WHERE {in_range} AND {mine} AND {due}
     FOR NO KEY UPDATE SKIP LOCKED),
written AS (
  UPDATE {leaf} AS t SET {values} FROM batch WHERE t.ctid = batch.ctid AND {in_range} RETURNING {key_t}, {old_t})
INSERT INTO {place} ({key}, {old}, {new})
SELECT {key_b}, {old_b}, {old_w} FROM batch JOIN written AS w ON {same}"""
        ).format(
            key=names(key),
            same=_same_key(table, "batch", "w"),
            key_t=names(key, of="t"),
            key_b=names(key, of="batch"),
            old=names(self.set),
            old_t=names(self.set, of="t"),
            old_b=names(self.set, of="batch"),
            old_w=names(self.set, of="w"),
            new=names(self._new(name) for name in self.set),
            leaf=any_leaf(),
            in_range=in_range,
            mine=ours("t") if self._asks_elsewhere else sql.SQL("true"),
            due=due,
            place=place,
            values=sql.SQL(", ").join(
                sql.SQL("{} = {}").format(sql.Identifier(name), value.render(bare, "t"))
                for name, value in self.set.items()
            ),
        )
        conflict = sql.SQL("SELECT crossfade.note_conflict({}, {}, {}, $3) FROM {} AS t WHERE {} AND {}").format(
            sql.Literal(context.migration), sql.Literal(str(table.name)), key_json, any_leaf(), in_range, due
        )
        retried = resolved(context.migration, str(table.name))
        step_id = f"{table.name}/update/{context.index}"
        return Walk(
            id=step_id,
            leg=BACKFILL,
            database=context.database,
            title=f"set {', '.join(self.set)} of {table.name}",
            locks=lock(relation(table.name), "ROW EXCLUSIVE"),
            relation=relation(table.name),
            first=(per_leaf(locked),) if self._asks_elsewhere else (),
            batch=per_leaf(batch),
            conflict=per_leaf(conflict),
            retry=retried.as_string(None),
            pending=sql.SQL("SELECT pg_catalog.count(*) FROM {} AS t WHERE {}")
            .format(identifier(table.name), due)
            .as_string(None),
            pending_rows=per_leaf(
                sql.SQL("SELECT t.ctid::text FROM {} AS t WHERE {} AND {}").format(any_leaf(), in_range, due)
            ),
            silent=silent,
            writes=tuple(self.set),
            undo=(self._walk_back(context, table, silent, place, step_id),),
            undo_title="give the rows their old values back, by key, where nobody has written since; a key used again"
            " with the values set here passes for the row before",
        )

    def _walk_back(
        self,
        context: Context,
        table: Table,
        silent: bool,
        place: sql.Identifier,
        step_id: str,
    ) -> Walk:
        in_range = sql.SQL("t.ctid >= $1::tid AND t.ctid < $2::tid")
        same = _same_key(table, "a", "t")
        untouched = sql.SQL("ROW({})::record *= ROW({})::record").format(
            names(self.set, of="t"), names((self._new(name) for name in self.set), of="a")
        )
        source = sql.SQL("{} AS t JOIN {} AS a ON {} AND {}")
        # The kept value we set is emptied into the old one, so that a second pass finds nothing left to give back.
        changed = sql.SQL("ROW({})::record *<> ROW({})::record").format(
            names(self.set, of="t"), names(self.set, of="a")
        )
        batch = sql.SQL(
            """
WITH batch AS MATERIALIZED (
  SELECT t.ctid, {old_a} FROM {source} WHERE {in_range} AND {changed} FOR NO KEY UPDATE OF t SKIP LOCKED)
UPDATE {leaf} AS t SET {values} FROM batch WHERE t.ctid = batch.ctid AND {in_range}"""
        ).format(
            old_a=names(self.set, of="a"),
            source=source.format(any_leaf(), place, same, untouched),
            in_range=in_range,
            changed=changed,
            leaf=any_leaf(),
            values=sql.SQL(", ").join(sql.SQL("{c} = batch.{c}").format(c=sql.Identifier(name)) for name in self.set),
        )
        return Walk(
            id=f"{step_id}/undo",
            leg=BACKFILL,
            database=context.database,
            title=f"give {', '.join(self.set)} of {table.name} their old values back",
            locks=lock(relation(table.name), "ROW EXCLUSIVE"),
            relation=relation(table.name),
            batch=per_leaf(batch),
            pending=sql.SQL("SELECT pg_catalog.count(*) FROM {} WHERE {}")
            .format(source.format(identifier(table.name), place, same, untouched), changed)
            .as_string(None),
            pending_rows=per_leaf(
                sql.SQL("SELECT t.ctid::text FROM {} WHERE {} AND {}").format(
                    source.format(any_leaf(), place, same, untouched), in_range, changed
                )
            ),
            silent=silent,
            writes=tuple(self.set),
        )

    def _complete(self, context: Context, table: Table, walk: Walk) -> Check:
        # Of the row and not of the note, which anybody may have taken back. Without a note the walk has proved it, and
        # a row that an application brings later is none of its own.
        unset = sql.SQL(
            'SELECT pg_catalog.count(*) AS "rows that could not be set" FROM {} AS t WHERE EXISTS ({}) AND {}'
        ).format(identifier(table.name), self._conflict(context, table), self._unset(context, table))
        return Check(
            id=f"{walk.id}/complete",
            leg=BACKFILL,
            database=context.database,
            title=f"ask that every row of {table.name} could be set",
            locks=lock(relation(table.name), "ACCESS SHARE"),
            query=unset.as_string(None),
            fix=f"`crossfade conflicts {context.migration}` lists them by key; mend them, then run `crossfade up`",
        )


def _same_key(table: Table, left: str, right: str) -> sql.Composable:
    return same_key(table.key, {name: column.type for name, column in table.by_name.items()}, left, right)
