"""rename_column: a new name for the new version, while the old version goes on with the old one."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from crossfade.catalog.model import Column, Table
from crossfade.changes._change import Change, Compiled, Hazard, Mapped
from crossfade.changes._context import Context
from crossfade.changes._followers import following
from crossfade.changes._obstacles import (
    function_hazards,
    refuse_branched,
    refuse_kept_in_step,
    refuse_lost_with_column,
    refuse_own_sequence,
)
from crossfade.changes._prepared import prepared_hazard
from crossfade.changes._triggers import refuse_late_triggers, refuse_naming_triggers
from crossfade.composing import sql
from crossfade.spec.fragment import Expression
from crossfade.spec.values import Identifier
from crossfade.steps.compose import identifier, lock, relation, text
from crossfade.steps.rows import NewColumn, Pair
from crossfade.steps.step import Ddl, stage_leg
from crossfade.steps.tuning import Tuning


class RenameColumn(Change):
    """Rename a column.

    Both names hold the same value from expand to `archive`, whoever writes. Every row is written once, because each
    name needs a value of its own. Indexes, checks, foreign keys, default, comment, NOT NULL, statistics target,
    storage, compression and options such as `n_distinct` go over to the new name. So do views, rules, policies,
    triggers, extended statistics, virtual generated columns and empty materialized views that read the column, at
    `retire` and in the same transaction: a view goes on giving it under the name that it had there, with its owner,
    grants, comments and options untouched.

    With `strategy: versions` no row is written. The column is one and the same, and each version sees it under the
    name it knows, by views in a schema that its `search_path` names ([versions](../versions.md)). The table's own
    column gets the new name at `cutover`. A key, a column that views and policies use, or that foreign keys point
    at, can be renamed so.

    ## Old and new versions

    The old version goes on with the old name until `retire`, which hides it: put a gate there. The new one may use
    the new name when expand has ended, and finds it in every row when backfill has. With `strategy: versions` the
    new version uses its views from expand on; an old one that is still there at `cutover` uses those of the version
    before, until `retire`.

    ## Undo

    Turns back, at once; after `archive` from the archive. With `strategy: versions` at once, always.

    ## Locks

    ACCESS EXCLUSIVE on the table for an instant, in expand, at `retire`, `archive` and `drop`; at `retire` also on the
    views that read the column, and on tables whose policies do.
    With `strategy: versions` on the table alone, at `cutover`.

    ## Hazards

    Statements prepared as `SELECT *` are refused once after expand, `retire` and `drop`. What depends on the column
    and cannot be carried over is refused by name when planned.

    ## Example

    ```yaml
    changes:
      - rename_column: {table: users, from: created_at, to: joined_at}
    ```
    """

    table: Identifier = Field(description="The table, or `schema.table`.")
    from_: Identifier = Field(alias="from", description="Its name as it is.")
    to: Identifier = Field(description="Its name as it shall be.")
    strategy: Literal["copy", "versions"] = Field(
        "copy",
        description="`copy`: both names have a value in each row. `versions`: one column, which each version sees under"
        " its own name, by a schema of views that its search_path names.",
    )

    def compile(self, context: Context) -> Compiled:
        """A pair of the same type that maps by the bare column; or the column itself, shown under either name."""
        table = context.table(self.table)
        column = context.column(table, self.from_, "from")
        if self.to in context.new_row_types(table):
            context.refuse(f"column {self.to} exists already in {table.name}", at=("to",))
        columns = frozenset({self.from_})
        refuse_branched(context, table)
        if self.strategy == "versions":
            return self._shown(context, table, column)
        refuse_own_sequence(context, table, column)
        refuse_lost_with_column(context, table, column)
        follow = following(context, table, column, column.type, "retire")
        hazards = follow.hazards + refuse_naming_triggers(context, table, self.from_)
        refuse_late_triggers(context, table, columns)
        up, down = _bare(self.from_), _bare(self.to)
        collation = column.collation
        pair = Pair(
            title=f"{table.name}.{self.from_} to {self.to}",
            old=(self.from_,),
            new=(
                NewColumn(
                    name=self.to,
                    type=column.type,
                    collation=f"{_quoted(collation.schema)}.{_quoted(collation.name)}" if collation else None,
                    default=column.default,
                    not_null=column.not_null,
                    comment=column.comment,
                    tuning=Tuning.of(column),
                ),
            ),
            up={self.to: up},
            down={self.from_: down},
            total=True,
            followers=follow.followers,
        )
        copied = Hazard(
            "copies-column",
            "note",
            f"every row of {table.name} is written once: both names need a value of their own",
        )
        return Compiled(
            pairs=((table.name, pair),),
            hazards=(*hazards, copied, prepared_hazard(table, "warning", "after expand, retire and drop")),
            maps=(Mapped(table.name, self.to, (self.from_,), up.text),),
        )

    def _shown(self, context: Context, table: Table, column: Column) -> Compiled:
        """What knows the column by its number goes with it; what knows it by name is refused or told."""
        for part in context.catalog.tree(table.name):
            refuse_kept_in_step(context, part, frozenset({self.from_}))
        hazards = function_hazards(table) + refuse_naming_triggers(context, table, self.from_, gone_from="cutover")
        return Compiled(
            steps=(_rename(context, table, self.from_, self.to),),
            renames=((table.name, self.from_, self.to, column.type),),
            versions=(table.name,),
            hazards=(*hazards, prepared_hazard(table, "warning", "after cutover")),
            maps=(Mapped(table.name, self.to, (self.from_,), _bare(self.from_).text),),
        )


def _rename(context: Context, table: Table, old: str, new: str) -> Ddl:
    renamed = sql.SQL("ALTER TABLE {} RENAME COLUMN {} TO {}")
    at, leg = relation(table.name), stage_leg("cutover")
    return Ddl(
        id=f"{at}/rename/{old}",
        leg=leg,
        database=context.database,
        title=f"rename {at}.{old} to {new}",
        locks=lock(at, "ACCESS EXCLUSIVE"),
        statements=text(renamed.format(identifier(table.name), sql.Identifier(old), sql.Identifier(new))),
        undo=(
            Ddl(
                id=f"{at}/rename/{old}/undo",
                leg=leg,
                database=context.database,
                title=f"rename {at}.{new} to {old}",
                locks=lock(at, "ACCESS EXCLUSIVE"),
                statements=text(renamed.format(identifier(table.name), sql.Identifier(new), sql.Identifier(old))),
            ),
        ),
        undo_title="give it its old name back",
    )


def _bare(column: str) -> Expression:
    return Expression(_quoted(column))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
