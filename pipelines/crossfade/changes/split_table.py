"""split_table: some columns of a table go to a new one, a row there for each row here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from crossfade.catalog.model import Name, Table
from crossfade.changes._change import Change, Compiled, Hazard
from crossfade.changes._context import Context
from crossfade.changes._mirrored import Moved, add_columns, kept_in_step, refuse_unmovable
from crossfade.changes._parts import empty_table, made_constraint
from crossfade.composing import sql
from crossfade.spec.databases import search_path
from crossfade.spec.fragment import trusted
from crossfade.spec.values import LONGEST_NAME, Identifier
from crossfade.steps.compose import identifier, lock, lock_parents, names, text
from crossfade.steps.mirror import Half, Mirror
from crossfade.steps.privileges import privileges_again
from crossfade.steps.step import EXPAND, Ddl


class SplitTable(Change):
    """Split columns of a table off into a new table.

    The new table has the columns, and the key of the old one, which is its primary key and refers to it: a row for
    each row, deleted with it. It gets the old table's owner and grants, and the indexes, checks and foreign keys that
    are over these columns. From expand on triggers keep both tables in step, whoever writes; existing rows are copied
    in backfill; at the end the columns are gone from the old table.

    ## Old and new versions

    The old version reads and writes the old table as ever. The new version uses both tables: it may write from expand
    on, and finds a row for every row of the old table from the end of backfill on. When it inserts a row into the old
    table, one without values is made in the new table; its own INSERT there, in the same transaction or later, takes
    that one's place. What it leaves out there comes from the old side, with its defaults. When it deletes a row of the
    new table, the old version finds the columns empty, or with their defaults, and a write of theirs makes it again.

    The foreign key holds from the beginning, NOT NULL of the columns in the new table from the end of validate on. In
    the old table they may be empty from expand on: a row of the new version is half a row until its other half comes.

    At `retire` the old columns are hidden; the new table alone is written, and goes on filling the hidden columns. At
    `archive` that ends, and the old values are kept aside; `drop` takes the columns away.

    ## Undo

    Until `archive` at once and whole: the old columns were kept in step. Later from the archive, and what was written
    since from the new table. Back before expand the new table is dropped.

    ## Locks

    ACCESS EXCLUSIVE on the old table for an instant in expand (NOT NULL, triggers), at `retire`, `archive` and `drop`;
    SHARE ROW EXCLUSIVE for an instant in expand, for the foreign key. Existing rows are locked a batch at a time.
    A write locks the row of both tables. It never waits in a queue for the other one, so nobody deadlocks by it: it
    asks again for up to a second, then goes on alone, and what it wrote is carried over when it commits, when the row
    is written again, or when the engine looks.

    ## Hazards

    - `held-rows`: a row that somebody holds longer than a second differs on both sides until it is carried over;
      contract waits for that up to `locks.budget`.
    - Two clients that write the same column at the same moment, each in the table of its version and before either has
      carried it over: the later one wins. Where both add to a counter, one of the two is lost; have one version count.
    - A row that the new version deletes from the new table while somebody holds the old one's, whose columns may not be
      NULL, and that the old version writes next, stays in conflict until either version writes it again.
    - `prepared-statements`: `SELECT *` of the old table, prepared, fails after `retire` and `drop`.
    - A value that the new table refuses does not fail the write: the row is in conflict, and contract waits for it.
    - `truncate-fails`: TRUNCATE of the old table fails from expand on, unless it says CASCADE: the new one refers to
      it.

    Refused when planned: a table without a primary key; columns of the key; a table with row security, whose policies
    cannot be made for the new table; a key that operators of an extension compare, such as citext; an index, check or
    foreign key over these columns and others; a column that a view, policy, trigger, generated column or foreign key
    from elsewhere reads.

    ## Example

    ```yaml
    changes:
      - split_table: {table: users, columns: [bio, avatar], into: user_profiles, key: {id: user_id}}
    ```
    """

    table: Identifier = Field(description="The table, or `schema.table`.")
    columns: Annotated[tuple[Identifier, ...], Field(min_length=1)] = Field(description="The columns that go.")
    into: Identifier = Field(description="The new table, in the schema of the old one.")
    key: dict[Identifier, Identifier] = Field(
        default_factory=dict[str, str],
        description="What columns of the key are called in the new table; those not named keep their names.",
    )

    def compile(self, context: Context) -> Compiled:
        """The new table, and a mirror whose right rows are made for each left one."""
        table = context.table(self.table)
        name = Name(table.name.schema, self.into)
        key = self._key(context, table)
        self._refuse_name(context, name)
        hazards = refuse_unmovable(context, table, self.columns, "columns")
        if table.row_security:
            context.refuse(
                f"{table.name} has row security",
                why="a policy that guards its rows cannot be made for another table by itself, and without one the"
                " columns would be open to whoever has a grant",
                fix="create the new table and its policies first, then use `move_column` for each column",
            )
        if twice := sorted(set(self.columns) & {self.key.get(column, column) for column in key}):
            context.refuse(f"{twice[0]} would be twice in {name}", fix="give the key another name with `key`")
        mirror = Mirror(
            migration=context.migration,
            database=context.database,
            left=Half(table.name, key, self.columns),
            right=Half(name, tuple(self.key.get(column, column) for column in key), self.columns),
            given=tuple(table.by_name[column] for column in self.columns),
            key_types=tuple(table.by_name[column].type for column in key),
            search_path=search_path(context.schema),
            makes=True,
        )
        truncated = Hazard(
            "truncate-fails",
            "warning",
            f"from expand on TRUNCATE of {table.name} fails, since {name} refers to it",
            "use DELETE, or TRUNCATE ... CASCADE, which empties both",
        )
        made = kept_in_step(
            Moved(context, table, mirror), self._create(context, table, mirror), hazards=(*hazards, truncated)
        )
        return replace(made, creates=(self._made(context, table, mirror),))

    def _made(self, context: Context, table: Table, mirror: Mirror) -> Table:
        """The new table as the catalog will have it."""
        right = mirror.right
        keyed = (replace(table.by_name[old], name=new) for old, new in zip(mirror.left.key, right.key, strict=True))
        primary = made_constraint(f"{right.table.name[: LONGEST_NAME - 5]}_pkey", "primary_key", right.key, "")
        columns = (replace(column, identity=None, default=None) for column in keyed)
        return empty_table(context, right.table, [*columns, *mirror.given], [primary])

    def _key(self, context: Context, table: Table) -> tuple[str, ...]:
        primary = next((c.columns for c in table.constraints if c.kind == "primary_key"), ())
        if not primary:
            context.refuse(
                f"{table.name} has no primary key",
                why="nothing would tell which row of the new table belongs to which of the old one",
                fix="give the table a primary key first",
                at=("table",),
            )
        for column in self.key:
            if column not in primary:
                what = f"{column} is not in the primary key of {table.name}"
                context.refuse(what, fix=f"the key is ({', '.join(primary)})", at=("key", column))
        with context.at("table"):
            for column in primary:
                context.probe.tells_rows_apart(table.by_name[column].type)
        if leaving := sorted(set(primary) & set(self.columns)):
            context.refuse(
                f"{leaving[0]} is in the primary key of {table.name}",
                why="the key stays in both tables",
                fix="leave it out of `columns`",
                at=("columns",),
            )
        return primary

    def _refuse_name(self, context: Context, name: Name) -> None:
        if name in context.catalog.tables or name in context.catalog.views:
            context.refuse(
                f"{name} exists already",
                fix="to move columns to a table that is there, use `move_column`",
                at=("into",),
            )

    def _create(self, context: Context, table: Table, mirror: Mirror) -> Ddl:
        made = mirror.right.sql
        keyed = [
            sql.SQL("{} {}{} NOT NULL").format(sql.Identifier(name), trusted(column.type), _collated(column.collation))
            for name, column in zip(mirror.right.key, (table.by_name[c] for c in mirror.left.key), strict=True)
        ]
        step_id = mirror.id("create")
        return Ddl(
            id=step_id,
            leg=EXPAND,
            database=context.database,
            title=f"create table {mirror.right.table} for {', '.join(self.columns)} of {table.name}",
            locks=lock(mirror.left.relation, "SHARE ROW EXCLUSIVE"),
            statements=text(
                # What was one row is deleted as one, and bears one key.
                sql.SQL(
                    "CREATE TABLE {} (\n  {},\n  PRIMARY KEY ({key}),\n  FOREIGN KEY ({key}) REFERENCES {} ({})"
                    " ON DELETE CASCADE ON UPDATE CASCADE\n)"
                ).format(
                    made,
                    sql.SQL(",\n  ").join(keyed),
                    mirror.left.sql,
                    names(mirror.left.key),
                    key=names(mirror.right.key),
                ),
                *add_columns(mirror),
                *_as_the_old_one(table, made, role=context.catalog.role.name),
            ),
            undo=(
                Ddl(
                    id=f"{step_id}/undo",
                    leg=EXPAND,
                    database=context.database,
                    title=f"drop table {mirror.right.table}",
                    locks=(
                        *lock(mirror.right.relation, "ACCESS EXCLUSIVE"),
                        *lock_parents(mirror.right.relation, (mirror.left.relation,), "ACCESS EXCLUSIVE"),
                    ),
                    statements=text(sql.SQL("DROP TABLE IF EXISTS {}").format(made)),
                ),
            ),
            undo_title="drop the table",
        )


def _as_the_old_one(table: Table, made: sql.Identifier, *, role: str) -> Iterator[sql.Composable]:
    """Its owner and its grants, whatever default privileges say. role: who makes it, and owns it until then."""
    if table.owner != role:
        yield sql.SQL("ALTER TABLE {} OWNER TO {}").format(made, sql.Identifier(table.owner))
    yield from privileges_again("TABLE", made, table.grants)


def _collated(collation: Name | None) -> sql.Composable:
    return sql.SQL("") if collation is None else sql.SQL(" COLLATE {}").format(identifier(collation))
