"""replace_key: a new column becomes the primary key, with the foreign keys of other tables following it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from pydantic import Field

from crossfade.catalog.model import Constraint, Index, Table
from crossfade.changes._change import Change, Compiled, Hazard, Need
from crossfade.changes._context import Context
from crossfade.changes._mapping import checked, is_total
from crossfade.changes._obstacles import (
    refuse_branched,
    refuse_generated,
    refuse_lost_with_column,
    refuse_readers,
    refuse_taken_relation,
    rule_name,
)
from crossfade.changes._prepared import prepared_hazard
from crossfade.changes._referring import FollowingKey, followed, points_at_key, refuse_shared_indexes
from crossfade.changes._silence import is_silent
from crossfade.changes._triggers import refuse_late_triggers, refuse_naming_triggers
from crossfade.spec.fragment import Expression
from crossfade.spec.values import Identifier
from crossfade.steps.rekey import Rekeyed, course
from crossfade.steps.rows import Pair


class ReplaceKey(Change):
    """Replace the primary key by one of a new column.

    For a key of several columns, one that means something and so changes, or one that gives too much away: the table
    gets a column of type `uuid` (by `gen_random_uuid()`) or `bigint` (an identity), every row a value in it, and it
    becomes the primary key, under the old one's name. Each foreign key that points at the old key is named under
    `references` with the column that its table gets for it. That column is kept in step with those that refer now,
    whichever version writes ([decision 20](../decisions/0020-a-replaced-key-is-looked-up.md)), filled, and proved; then
    foreign keys and primary key change over, a table at a time.

    The columns of the old key go in the end, and so do those that refer by it, but for those under `keep`. An old key
    that stays whole stays unique, under an index of its own. Columns that go need `down` where the new version could
    not insert a row without them.

    ## Old and new versions

    The old version uses the old key and its columns as ever until `retire`. The new one may use the new columns from
    expand on: a row that it writes with the new one alone gets the old ones of the row it refers to, and a row of the
    old version the new one. In rows that were there before, the new columns are filled at the end of backfill.

    From `cutover` on the new column is the primary key, and the new foreign keys do what the old ones did: a key that
    the old version changes still reaches the rows that refer to it. The old key stays unique, so that its
    ON CONFLICT goes on; only ON CONFLICT ON CONSTRAINT with the name of the primary key means the new one.

    Columns under `keep` of a table that refers are written for the new version too until `archive`; from then on it
    must do so itself.

    ## Undo

    Until `drop` at once and whole: the primary key changes back to an index that kept the old key unique, and the
    foreign keys are bound to it again, then proved without a lock. `drop` is for good: no row that came since has an
    old key that anybody could tell.

    ## Locks

    ACCESS EXCLUSIVE on the table for an instant in expand, at `cutover`, `retire`, `archive` and `drop`; on each table
    that refers in expand, at `cutover` (with the table itself, one after the other, children first), `retire`,
    `archive` and `drop`. SHARE ROW EXCLUSIVE on both for an instant in validate, for the new foreign key. Existing rows
    are locked a batch at a time; indexes are built, and rows proved, under locks that let reads and writes go on.

    ## Hazards

    - `key-by-name`: ON CONFLICT ON CONSTRAINT names the primary key, which is another one from `cutover` on.
    - `for-good`: `drop` cannot be taken back.
    - `late-rows`: a foreign key is checked at commit, or points into its own table. The old version may insert a row
      before the one it refers to: it is in conflict until the engine looks again. The new one inserts them in order.
    - `on-conflict-race`: a unique index over columns that refer is there twice from validate to drop: of two sessions
      that insert the same values at the same instant, one with ON CONFLICT may be told of a unique violation.
    - `kept-columns`: columns under `keep` of a table that refers, which nothing fills from `archive` on.
    - `goes-with-columns`: an index over some of the columns that go, and other columns.
    - With `type: bigint` a row that comes draws two numbers from expand on, where the old key is drawn too: `lastval()`
      may be the other key's. Take keys from INSERT ... RETURNING.
    - `prepared-statements`: `SELECT *` of these tables, prepared, fails after expand, `retire` and `drop`.

    Refused when planned, by name: partitioned tables, on either side; an old key that operators of an extension
    compare, such as citext; a foreign key that `references` does not name; one with SET DEFAULT; columns that go and
    that are in a primary key, another foreign key, a check or a unique index with less than the whole foreign key; a
    view that groups by the key; what else reads a column that goes.

    ## Example

    ```yaml
    changes:
      - replace_key:
          table: orders
          column: id
          type: uuid
          keep: [country, number]
          references:
            - {table: order_lines, column: order_id}
            - {table: refunds, column: order_id}
    ```
    """

    table: Identifier = Field(description="The table whose key it is, or `schema.table`.")
    column: Identifier = Field(description="The new key's column.")
    type: Literal["uuid", "bigint"] = Field(description="`uuid`, by `gen_random_uuid()`, or `bigint`, an identity.")
    references: tuple[FollowingKey, ...] = Field((), description="The foreign keys that point at the old key.")
    keep: tuple[Identifier, ...] = Field(
        (), description="The columns of the old key that stay; when all do, they stay unique."
    )
    down: dict[Identifier, Expression] = Field(
        default_factory=dict[str, Expression],
        description="Column of the old key that goes -> SQL over the new row, its new key included: what the old"
        " version finds in rows that the new one inserts.",
    )

    def compile(self, context: Context) -> Compiled:
        """The steps of the key, and a pair for each table that refers."""
        table = context.table(self.table)
        constraint, index = self._key(context, table)
        leaving = tuple(name for name in constraint.columns if name not in self.keep)
        own, hazards = self._leaving(context, table, leaving)
        bare = self._rekeyed(context, table, constraint, index)
        found = [*followed(context, bare, self.references)]
        refuse_shared_indexes(context, found)
        self._refuse_others(context, bare, leaving)
        key = replace(bare, children=tuple(each.child for each in found))
        unique_name = rule_name(table.name.name, "_".join(constraint.columns), "key")
        if key.stays_unique:
            with context.at("keep"):
                refuse_taken_relation(context, table, unique_name)
        kept = [(table, name) for name in self.keep] + [(e.child.table, name) for e in found for name in e.child.kept]
        return Compiled(
            steps=(*(step for each in found for step in each.indexes), *course.steps(key, unique_name)),
            pairs=(*((each.child.table.name, each.pair(key)) for each in found), *((table.name, pair) for pair in own)),
            adds=((table.name, self.column, self.type),),
            rekeys=tuple((table.name, name) for name in self.keep),
            needs=tuple(dict.fromkeys(Need(owner.name, name, follows=False) for owner, name in kept)),
            hazards=(*hazards, *_hazards(key), *(hazard for each in found for hazard in each.hazards)),
            maps=tuple(each.mapped(key) for each in found),
        )

    def _key(self, context: Context, table: Table) -> tuple[Constraint, Index]:
        """The primary key, of a table whose key can be replaced."""
        if context.is_new(table):
            context.refuse(f"{table.name} is made by this migration", fix="say its key in create_table", at=("table",))
        if table.kind == "partitioned":
            context.refuse(
                f"{table.name} is partitioned",
                why="a primary key there holds the partition key, and PostgreSQL builds no index of it concurrently",
                fix="add the column with `add_column`, and a unique index on each partition",
                at=("table",),
            )
        refuse_branched(context, table)
        found = next((each for each in table.constraints if each.kind == "primary_key"), None)
        if found is None:
            context.refuse(
                f"{table.name} has no primary key",
                fix="add the column with `add_column`, and the key with `add_constraint`",
                at=("table",),
            )
        with context.at("table"):
            for name in found.columns:
                context.probe.tells_rows_apart(table.by_name[name].type)
        index = next(each for each in table.indexes if each.primary)
        if found.deferrable or index.method != "btree":
            what = "may be deferred" if found.deferrable else "is one WITHOUT OVERLAPS"
            context.refuse(
                f"the primary key {found.name} of {table.name} {what}",
                why="the index that keeps the old key unique from cutover on could not say the same",
                fix="replace it with a plain one first",
                at=("table",),
            )
        if index.replica_identity:
            context.refuse(
                f"{index.name} is the replica identity of {table.name}",
                why="it goes at cutover, and logical replication tells rows apart by it",
                fix=f"ALTER TABLE {table.name} REPLICA IDENTITY DEFAULT, which follows the primary key, or FULL, first",
                at=("table",),
            )
        if found.needed_by:
            context.refuse(
                f"{found.needed_by[0]} needs the primary key {found.name} of {table.name}",
                why="it groups by the key and shows other columns, which PostgreSQL allows for no other key",
                fix="let it group by all columns it shows, before this migration",
                at=("table",),
            )
        if self.column in context.new_row_types(table):
            context.refuse(f"column {self.column} exists already in {table.name}", at=("column",))
        for name in self.keep:
            if name not in found.columns:
                key = ", ".join(found.columns)
                context.refuse(f"{name} is not in the key of {table.name}: {key}", fix="it stays anyway", at=("keep",))
        return found, index

    def _rekeyed(self, context: Context, table: Table, constraint: Constraint, index: Index) -> Rekeyed:
        return Rekeyed(
            migration=context.migration,
            database=context.database,
            table=table,
            constraint=constraint,
            index=index,
            column=self.column,
            type=self.type,
            kept=self.keep,
            children=(),
            silent=is_silent(context.catalog, context.head, table.name, where=context.where, done="filled"),
        )

    def _leaving(
        self, context: Context, table: Table, leaving: tuple[str, ...]
    ) -> tuple[list[Pair], tuple[Hazard, ...]]:
        """Columns of the old key that go, each as one that is dropped."""
        pairs: list[Pair] = []
        hazards: tuple[Hazard, ...] = ()
        for name in self.down:
            if name not in leaving:
                context.refuse(f"{name} is no column of the old key that goes", at=("down", name))
        for name in leaving:
            column = table.by_name[name]
            down = self.down.get(name)
            if down is None and column.default is None and not column.identity:
                context.refuse(
                    f"{table.name}.{name} goes, and has no default",
                    why="the new version could insert no row without it until it is gone",
                    fix=f"say `keep: [{name}]` when it stays, or give `down: {{{name}: ...}}`",
                )
            if column.generated:
                context.refuse(f"{table.name}.{name} is a generated column", why="it cannot be written")
            refuse_lost_with_column(context, table, column)
            hazards += refuse_naming_triggers(context, table, name)
            total = True
            if down is not None:
                # The new key has its value by then, which nothing else could give as many different ones as.
                row = {n: type_ for n, type_ in context.row_types(table).items() if n not in leaving}
                row[self.column] = self.type
                checked(context, table, down, row=row, wanted=column.type, field="down", at=("down", name))
                refuse_generated(context, table, down.columns(table.name.name), "down")
                refuse_late_triggers(context, table, frozenset({name}) | down.columns(table.name.name))
                total = is_total(down, row, column.type)
            title = f"{table.name}.{name}"
            pairs.append(Pair(title=title, old=(name,), new=(), down={name: down} if down else {}, total=total))
        return pairs, hazards + refuse_readers(context, table, frozenset(leaving))

    def _refuse_others(self, context: Context, key: Rekeyed, leaving: tuple[str, ...]) -> None:
        """Foreign keys that point at a column that goes, and not at the key."""
        for foreign in context.catalog.references_to(key.table.name):
            if set(foreign.referenced_columns) & set(leaving) and not points_at_key(key, foreign):
                context.refuse(
                    f"foreign key {foreign.name} of {foreign.child} points at"
                    f" {', '.join(foreign.referenced_columns)} of {key.table.name}, which goes",
                    fix="say under `keep` that it stays, or drop the foreign key first",
                )


def _hazards(key: Rekeyed) -> Iterator[Hazard]:
    table, name = key.table, key.constraint.name
    yield Hazard(
        "key-by-name",
        "warning",
        f"from cutover on {name} of {table.name} is the key of {key.column}: ON CONFLICT ON CONSTRAINT {name} of the"
        " old version means another column then",
        f"name the columns: ON CONFLICT ({', '.join(key.constraint.columns)}) goes on",
    )
    if key.children or not key.stays_unique:
        yield Hazard(
            "for-good",
            "danger",
            f"drop takes what rows of {table.name} had as their key away for good: rows that came since have none that"
            " anybody could tell",
            "give the stage `drop` a gate that holds it back until you are sure",
        )
    if table.publications and table.replica_identity == "default":
        yield Hazard(
            "replica-identity",
            "warning",
            f"from cutover on logical replication tells rows of {table.name} apart by {key.column}",
            f"let subscribers have an index on {key.column} by then",
        )
    yield prepared_hazard(table, "warning", "after expand" if key.stays_unique else "after expand, retire and drop")
