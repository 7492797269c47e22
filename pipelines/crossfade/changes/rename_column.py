"""rename_column: a new name for the new version, while the old version goes on with the old one."""

from __future__ import annotations

from pydantic import Field

from crossfade.changes._change import Change, Compiled, Hazard, Mapped
from crossfade.changes._context import Context
from crossfade.changes._followers import following
from crossfade.changes._obstacles import (
    refuse_branched,
    refuse_lost_with_column,
    refuse_own_sequence,
)
from crossfade.changes._prepared import prepared_hazard
from crossfade.changes._triggers import refuse_late_triggers, refuse_naming_triggers
from crossfade.spec.fragment import Expression
from crossfade.spec.values import Identifier
from crossfade.steps.rows import NewColumn, Pair
from crossfade.steps.tuning import Tuning


class RenameColumn(Change):
    """Rename a column.

    Both names hold the same value from expand to `archive`, whoever writes. Every row is written once, because each
    name needs a value of its own. Indexes, checks, foreign keys, default, comment, NOT NULL, statistics target,
    storage, compression and options such as `n_distinct` go over to the new name. So do views, rules, policies and
    triggers that read the column, at `retire` and in the same transaction: a view goes on giving it under the name that
    it had there, with its owner, grants, comments and options untouched.

    ## Old and new versions

    The old version goes on with the old name until `retire`, which hides it: put a gate there. The new one may use
    the new name when expand has ended, and finds it in every row when backfill has.

    ## Undo

    Turns back, at once; after `archive` from the archive.

    ## Locks

    ACCESS EXCLUSIVE on the table for an instant, in expand, at `retire`, `archive` and `drop`; at `retire` also on the
    views that read the column, and on tables whose policies do.

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

    def compile(self, context: Context) -> Compiled:
        """A pair of the same type that maps by the bare column."""
        table = context.table(self.table)
        column = context.column(table, self.from_, "from")
        if self.to in context.new_row_types(table):
            context.refuse(f"column {self.to} exists already in {table.name}", at=("to",))
        columns = frozenset({self.from_})
        refuse_branched(context, table)
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


def _bare(column: str) -> Expression:
    return Expression(_quoted(column))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
