"""drop_column: a column the new version knows no more; hidden first, kept aside, dropped last."""

from __future__ import annotations

from pydantic import Field

from crossfade.changes._change import Change, Compiled, Hazard
from crossfade.changes._context import Context
from crossfade.changes._mapping import checked, is_total
from crossfade.changes._obstacles import (
    refuse_branched,
    refuse_dependents,
    refuse_generated,
    refuse_lost_in_partitions,
)
from crossfade.changes._prepared import prepared_hazard
from crossfade.changes._triggers import refuse_late_triggers, refuse_naming_triggers
from crossfade.spec.fragment import Expression
from crossfade.spec.values import Identifier
from crossfade.steps.rows import Pair


class DropColumn(Change):
    """Drop a column.

    It goes in three steps: `retire` hides it under another name, `archive` copies its values aside, `drop` takes it
    away. A NOT NULL column without a default needs `down`, or inserts of the new version would fail.

    ## Old and new versions

    The old version uses the column as ever until `retire`, and must be gone by then: put a gate there. The new one
    need not know it from expand on.

    ## Undo

    A rename; after `archive` from the archive, where rows that were written since get no value, and are counted.

    ## Locks

    ACCESS EXCLUSIVE on the table for an instant, in expand, at `retire`, `archive` and `drop`.

    ## Hazards

    Views, functions, policies and what else depends on the column is refused by name when planned, but for views that a
    [replace_view](replace_view.md) of the same migration gives another query. Indexes and constraints over it go with
    it.

    ## Example

    ```yaml
    changes:
      - drop_column: {table: users, column: fax, down: "''"}
    ```
    """

    table: Identifier = Field(description="The table, or `schema.table`.")
    column: Identifier = Field(description="The column.")
    down: Expression | None = Field(
        None, description="SQL over the new row: a value for old readers in rows that the new version inserts."
    )

    def compile(self, context: Context) -> Compiled:
        """A pair without a new side."""
        table = context.table(self.table)
        column = context.column(table, self.column, "column")
        if (
            column.not_null
            and column.default is None
            and self.down is None
            and not column.identity
            and not column.generated
        ):
            context.refuse(
                f"{table.name}.{self.column} is NOT NULL without a default, and the new version will not write it",
                why="its inserts would fail until the column is gone",
                fix="give `down`, the value old readers shall see",
            )
        refuse_branched(context, table)
        if column.generated or column.identity:
            what = "a generated" if column.generated else "an identity"
            context.refuse(
                f"{table.name}.{self.column} is {what} column",
                why="what PostgreSQL writes by itself cannot be hidden and brought back",
                fix="drop it with a `sql` change in contract",
            )
        columns = frozenset({self.column})
        hazards = refuse_dependents(context, table, columns) + refuse_naming_triggers(context, table, self.column)
        refuse_lost_in_partitions(context, table, column)
        total = True
        if self.down is not None:
            row = {name: type_ for name, type_ in context.row_types(table).items() if name != self.column}
            checked(context, table, self.down, row=row, wanted=column.type, field="down")
            refuse_generated(context, table, self.down.columns(table.name.name), "down")
            refuse_late_triggers(context, table, columns | self.down.columns(table.name.name))
            total = is_total(self.down, row, column.type)
        owned = [s for s in context.catalog.sequences.values() if s.owned_by == (table.name, self.column)]
        lost = tuple(
            Hazard("owned-sequence", "warning", f"sequence {sequence.name} goes with {table.name}.{self.column}")
            for sequence in owned
        )
        pair = Pair(
            title=f"{table.name}.{self.column}",
            old=(self.column,),
            new=(),
            down={self.column: self.down} if self.down is not None else {},
            total=total,
        )
        when = "after expand, retire and drop" if self.down is not None else "after retire and drop"
        prepared = prepared_hazard(table, "note", when)
        return Compiled(pairs=((table.name, pair),), hazards=(*hazards, *lost, prepared))
