"""update_rows: existing rows changed in batches, each row once, with their old values kept for the undo."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from crossfade.changes._change import Change, Compiled, Mapped
from crossfade.changes._context import Context
from crossfade.changes._mapping import checked
from crossfade.changes._set_rows import SetRows
from crossfade.spec.fragment import Expression
from crossfade.spec.values import Identifier


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
        """Rows set by SQL over themselves."""
        table = context.table(self.table)
        rows = SetRows(context, table, tuple(self.set), self.where)
        rows.refuse_unfit("set")
        row = context.row_types(table)
        for name, value in self.set.items():
            wanted = table.by_name[name].type
            checked(context, table, value, row=row, wanted=wanted, field=f"set of {name}", at=("set", name))
        if self.where is not None:
            checked(context, table, self.where, row=row, wanted="boolean", field="where")
        maps = tuple(
            Mapped(table.name, name, tuple(sorted(value.columns(table.name.name))), value.text)
            for name, value in self.set.items()
        )
        values = {name: value.render(table.name.name, "t") for name, value in self.set.items()}
        return Compiled(steps=rows.steps(values, looks_elsewhere=self._looks_elsewhere), maps=maps)

    @property
    def _looks_elsewhere(self) -> bool:
        """A value, or whether the row matches, comes from other rows."""
        fragments = [*self.set.values(), *([self.where] if self.where is not None else [])]
        return any("SubLink" in fragment.nodes for fragment in fragments)
