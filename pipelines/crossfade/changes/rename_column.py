"""rename_column: a new name for the new version, while the old version goes on with the old one."""

from __future__ import annotations

from pydantic import Field

from crossfade.changes._change import Change, Compiled, Hazard, Mapped
from crossfade.changes._context import Context
from crossfade.changes._obstacles import (
    refuse_branched,
    refuse_dependents,
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

    Both names hold the same value from expand to archive, whoever writes. Indexes, checks, foreign keys, the
    default and NOT NULL go over to the new name. Undo turns back until archive, then from the archive.
    """

    table: Identifier
    from_: Identifier = Field(alias="from")
    to: Identifier

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
        hazards = refuse_dependents(context, table, columns) + refuse_naming_triggers(context, table, self.from_)
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
