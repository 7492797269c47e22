"""merge_tables: the rows of one table come into another one of the same sort, under new keys; the first one goes."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from crossfade.catalog.model import Table
from crossfade.changes._absorbable import absorbed_by, refuse_unkeyed, refuse_unmergeable
from crossfade.changes._absorbing import hazards_of, referring_by_key
from crossfade.changes._change import Change, Compiled, Mapped, Need
from crossfade.changes._children import unindexed_hazards
from crossfade.changes._context import Context
from crossfade.changes._let_go import let_go
from crossfade.changes._referring import FollowingKey
from crossfade.changes._whole_table import named_in_functions
from crossfade.spec.fragment import Expression
from crossfade.spec.values import Identifier
from crossfade.steps.absorbed import course, giving_way, referring
from crossfade.steps.rekey import lookup
from crossfade.steps.step import VALIDATE, stage_leg

_RETIRE = stage_leg("retire")


class MergeTables(Change):
    """Merge a table into another one of the same sort: its rows come there under new keys, and it goes.

    For `legacy_customers` beside `customers`, `admins` beside `users`: each row of the table under `from` gets its like
    in `table`, under a key that the kept table's own sequence or default draws, so that keys which both tables have
    used do not clash. `columns` says which columns follow each other, `set` what a like gets besides, say a column that
    tells where a row came from. Triggers keep a row and its like in step, whoever writes either
    ([decision 21](../decisions/0021-a-merged-row-knows-its-like.md)).

    A table that refers to the one that goes is named under `references`, with the column that refers to the kept table
    from now on. That column is kept in step with the one that referred, filled, and proved, with a foreign key that
    does what the old one did.

    ## Old and new versions

    The old version reads and writes both tables as ever. The new one uses the kept table alone, and the new columns of
    tables that refer: it may write from expand on, and finds all rows there from the end of backfill on. What either
    writes to a row, or deletes, the other one finds in its own table. A row that the new version inserts is in the kept
    table alone; where a row of a table that refers points at such a one, the old version finds NULL.

    From the time that a row has its like, the old version finds that in the kept table too. What it does there by
    anything but the key, such as an `UPDATE` of all rows or a `DELETE`, it does to likes as well, and so to its own
    other table. Let it tell them apart before, by a column that `set` fills.

    From `retire` on the table that goes has a name of crossfade's; the kept one goes on being carried to it until
    `archive`. At `drop` it is dropped. A delete holds, whatever the other version writes to its row of it meanwhile.

    ## Undo

    Until `archive` at once: the table was kept in step, and gets its name back. After `archive` it is brought up to
    date with what became of its likes first, whatever keys they have by then. Back before expand the likes are taken
    out of the kept table again, all that no row of another table refers to; where one does, the rollback says so before
    it begins. Rows that only the kept table has stay there. After `drop` there is no way back.

    ## Locks

    ACCESS EXCLUSIVE on the table that goes for an instant in expand (two columns) and at `retire`; on the kept table in
    validate, where it has unique rules, at `archive` and at `drop`; on each table that refers in expand, `retire`,
    `archive` and `drop`. SHARE ROW EXCLUSIVE for an instant, for triggers and foreign keys, on each of them alone or
    with its parent. Rows are locked a batch at a time. A write locks the row and its like. It never waits in a queue
    for the other one, so nobody deadlocks by it: it asks again for up to a second of its transaction, then goes on
    alone, and is carried over when it commits, or when the engine looks.

    ## Hazards

    - `seen-in-both`: from backfill on the old version finds the rows in both tables.
    - `unique-over-both`: a unique rule of the kept table holds over the rows of both from validate on. Until then a row
      that is written there takes the place of a like, whose own row is in conflict. Not of one that is not committed
      yet, that somebody holds for a second, that waits to be carried, or that others refer to: there it fails for it.
    - `held-rows`: a row that somebody holds longer than a second differs on both sides until it is carried over;
      contract waits for that up to `locks.budget`.
    - `hidden-table`: from `retire` on, statements that name the table fail.
    - `irreversible-drop`: what `drop` takes away cannot be brought back: the old keys, and columns under `without`.
    - `freed-column`: a column that refers may be empty from expand on, for rows that refer to what only the kept table
      has.

    After an INSERT into the table that goes, `lastval()`, and `currval()` of the kept table's sequence, are the key of
    the like: use RETURNING. Until validate an INSERT with ON CONFLICT does not meet a like: that gives way, and a new
    row comes. A row that meets in its own transaction what has yet to go from the kept table, as after TRUNCATE, gets
    its like with the next check.

    A row that the kept table cannot hold (a unique rule, a check) does not fail the old version's statement: it is in
    conflict, and contract waits until it is mended or deleted. So it is with one whose unique value a transaction that
    is still open has written or deleted there. From validate on no row of a table under `references` can come to refer
    to it: that fails for the foreign key (23503). The same goes for a write of its like that the table which goes
    cannot hold. TRUNCATE of the table that goes takes its likes away too, when it commits; TRUNCATE of the kept table
    leaves the other one as it is, and the likes come again, under keys that RESTART IDENTITY does not give out anew.

    What a trigger of the kept table makes of a value is carried back. Where triggers on both sides go on changing what
    the other one has set, that ends when it was carried four times, with the row in conflict. Where a key
    is given out by hand in the kept table that a row in conflict has drawn, that draws another one, and what refers to
    it follows.

    Refused when planned, by name: partitioned tables, on either side; a kept table without a key of one column that
    has a default; a key that operators of an extension compare, such as citext; columns that differ in type; columns
    that neither `columns` nor `without` names; a column of the kept table that must hold something and gets nothing;
    a foreign key that `references` does not name, one that may be checked at commit, one within the table; an
    exclusion constraint over what the kept table takes; triggers on both sides that set a column to what is never the
    same twice, as clock_timestamp() is; views, functions in standard SQL, policies and rules that use the table; row
    security on the table that goes and not on the other.

    ## Example

    ```yaml
    changes:
      - merge_tables:
          table: customers
          from: legacy_customers
          columns: {name: full_name}
          set: {source: "'legacy'"}
          references:
            - {table: legacy_notes, column: customer_id}

    contract:
      stages:
        - retire: {after: 7d}
        - archive: {keep: 30d}
        - drop:
    ```
    """

    table: Identifier = Field(description="The table that is kept, or `schema.table`.")
    source: Identifier = Field(alias="from", description="The table whose rows come into it, and that goes.")
    columns: dict[Identifier, Identifier] = Field(
        default_factory=dict[str, str],
        description="Column of the kept table -> column of the other one. Those of the same name follow each other"
        " without being named; the key does not.",
    )
    set: dict[Identifier, Expression] = Field(
        default_factory=dict[str, Expression],
        description="Column of the kept table -> SQL over the other table's row: what a row has when it comes.",
    )
    without: tuple[Identifier, ...] = Field(
        (), description="Columns of the other table that go with it, and have no like."
    )
    references: tuple[FollowingKey, ...] = Field(
        (), description="The foreign keys that point at the table that goes, each with its new column."
    )

    def compile(self, context: Context) -> Compiled:
        """The likes of the rows, a pair for each table that refers, and the end of the table."""
        kept = context.table(self.table)
        table = context.table(self.source, "from")
        refuse_unmergeable(context, table, kept)
        refuse_unkeyed(context, table, kept)
        columns = self._columns(context, table, kept)
        absorbed = absorbed_by(context, table, kept, columns, self.set)
        key, found = referring_by_key(context, absorbed, self.references)
        children = [each.child for each in found]
        absorbed = replace(absorbed, children=tuple(children))
        pointing = context.catalog.references_to(kept.name)
        asked = tuple(referring.asked_before_the_way_back(absorbed, child) for child in children)
        foreign = (*context.catalog.references_to(table.name), *context.catalog.references_from(table.name))
        tables = context.catalog.tables
        return Compiled(
            steps=(
                *course.expand(
                    absorbed,
                    tuple(lookup.made(key)),
                    tuple(lookup.dropped(key)),
                ),
                *(step for child in children for step in referring.freed(absorbed, child)),
                course.fill(absorbed).model_copy(update={"undo": asked}),
                *giving_way.end(absorbed),
                course.parity(absorbed, VALIDATE),
                *(step for each in found for step in each.indexes),
                *(step for child in children for step in referring.bound(absorbed, child)),
                course.parity(absorbed, _RETIRE),
                *(let_go(context.place(tables[each.child], _RETIRE), tables[each.child], each) for each in foreign),
                course.hide(absorbed),
                *course.archive(absorbed),
                *course.drop(absorbed, tuple(lookup.dropped(key))),
            ),
            pairs=tuple((each.child.table.name, replace(each.pair(key), freed=True)) for each in found),
            adds=((table.name, absorbed.link, absorbed.key.type), (table.name, absorbed.made, "boolean")),
            takes=(table.name,),
            drops=(table.name,),
            needs=tuple(Need(kept.name, name, follows=False) for name in (absorbed.key.name, *absorbed.filled)),
            hazards=(
                *hazards_of(absorbed, children),
                *(hazard for each in found for hazard in each.hazards),
                *unindexed_hazards(context.catalog, pointing),
                *named_in_functions(context, table, "from retire on it fails where it means this table"),
            ),
            maps=(
                *(Mapped(kept.name, there, (here,), here, table.name) for there, here in columns.items()),
                *(each.mapped(key) for each in found),
            ),
        )

    def _columns(self, context: Context, table: Table, kept: Table) -> dict[str, str]:
        """Column of the kept table -> of the other one: those named, and those of the same name."""
        found: dict[str, str] = {}
        for there, here in self.columns.items():
            _refuse_unwritable(context, kept, there, "columns", there)
            _refuse_unwritable(context, table, here, "columns", there)
            found[there] = here
        for there in self.set:
            _refuse_unwritable(context, kept, there, "set", there)
            if there in found:
                context.refuse(f"{there} is under `columns` too", fix="one of both gives its value", at=("set", there))
        for there, at in [*((name, "columns") for name in self.columns), *((name, "set") for name in self.set)]:
            if there in kept.key:
                context.refuse(
                    f"{there} is the key of {kept.name}",
                    why="rows that come get a new one there, since both tables may have used the same ones",
                    fix="to keep the old key beside it, name another column of the kept table",
                    at=(at, there),
                )
        for name in self.without:
            context.column(table, name, "without")
            if name in found.values():
                context.refuse(f"{name} is under `columns` too", fix="it goes, or it has a like", at=("without",))
        for column in kept.columns:
            taken = column.name in (*found, *self.set, *kept.key) or column.generated
            there = table.by_name.get(column.name)
            if taken or there is None or there.name in self.without:
                continue
            if there.generated:
                context.refuse(
                    f"{table.name}.{there.name} is a generated column, and {kept.name}.{there.name} a plain one",
                    why="what is written to that could not come back",
                    fix=f"give it its value under `set`, or say `without: [{there.name}]`",
                )
            found[column.name] = column.name
        if not found:
            context.refuse(
                f"{kept.name} takes no column of {table.name}",
                why="the rows of both would have nothing in common",
                fix="name under `columns` which takes which, or use `insert_rows` and `drop_table`",
            )
        self._refuse_unlike(context, table, kept, found)
        return found

    def _refuse_unlike(self, context: Context, table: Table, kept: Table, found: dict[str, str]) -> None:
        for there, here in found.items():
            ours, theirs = kept.by_name[there].type, table.by_name[here].type
            if ours != theirs:
                context.refuse(
                    f"{kept.name}.{there} is {ours}, {table.name}.{here} is {theirs}",
                    why="what is written to either must come back from the other as it was",
                    fix="give one of both the other's type in a migration that comes before (change_column)",
                    at=("columns", there),
                )
        if doubled := sorted(here for here in found.values() if [*found.values()].count(here) > 1):
            context.refuse(
                f"{doubled[0]} of {table.name} is given to two columns",
                why="where both are written, nothing says which one it takes",
                fix="give one of them its value under `set`",
                at=("columns",),
            )
        lost = [c.name for c in table.columns if c.name not in (*found.values(), *self.without, *table.key)]
        lost = [name for name in lost if not table.by_name[name].generated]
        if lost:
            context.refuse(
                f"nothing in {kept.name} takes {', '.join(lost)} of {table.name}",
                why="it would be lost with the table",
                fix=f"add columns to {kept.name} before, and name them under `columns`; or say `without:"
                f" [{', '.join(lost)}]`",
            )
        for column in kept.columns:
            given = column.name in (*found, *self.set, *kept.key) or column.default or column.identity
            if column.not_null and not given and not column.generated:
                context.refuse(
                    f"{kept.name}.{column.name} must hold a value, and rows of {table.name} give it none",
                    fix=f"name it under `columns`, or say `set: {{{column.name}: ...}}`",
                )


def _refuse_unwritable(context: Context, table: Table, name: str, *at: str) -> None:
    if context.column(table, name, *at).generated:
        context.refuse(f"{table.name}.{name} is a generated column", why="it cannot be written", at=at)
