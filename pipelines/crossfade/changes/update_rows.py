"""update_rows: existing rows changed in batches, each row once, with their old values kept for the undo."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from crossfade.catalog.model import Table
from crossfade.changes._change import Change, Compiled, Mapped
from crossfade.changes._context import Context, Facts
from crossfade.changes._grouped_rows import GroupedRows
from crossfade.changes._mapping import checked, checked_over_group
from crossfade.changes._parents_first import PARENT, ParentsFirst
from crossfade.changes._set_rows import SetRows
from crossfade.spec.fragment import Expression
from crossfade.spec.values import Identifier, listed


class UpdateRows(Change):
    """Change values of existing rows in batches, each row once.

    It runs in backfill, beside live traffic, and does not map what is written later. Old values are kept in a table
    of the schema `crossfade`.

    A value may come from other rows by a sub-select: joined from a parent, or an aggregate of children, which may be
    columns of other rows, an array or JSON. The row is locked before they are asked, FOR UPDATE, so that no child comes
    in between: a counter that an application moves in the transaction that brings or takes the child is right
    afterwards, however often that happens meanwhile.

    With `group_by`, rows that are equal in these columns are a group, and `set` may use window functions over it: a
    rank within a customer, a running total, the share of the group's sum. `OVER ()` is the group. All rows of a group
    are locked, asked and set in one transaction, whatever else is in its batch. The groups are those there are when
    backfill comes to them; `where` says which of their rows count at all. A row with NULL in one of the columns is in
    no group.

    With `parent`, a row is set after the row that it points at, whose values `set` reads as `parent.column`: a path
    made of the parent's, a depth. Where it points at none, or at itself, they are NULL. Whoever writes the parent
    meanwhile waits, or goes first, so that what he makes of it in its children is not missed.

    ## Old and new versions

    Both see each row's new values when its batch is done.

    ## Undo

    Gives rows their old values back, by key, where nobody has written since. A row that was deleted and inserted
    again under its key, with the very values that were set, cannot be told from the one before.

    ## Locks

    The rows of a batch, for about as long as `backfill.target`; nothing on the table that makes reads or writes
    wait.

    ## Hazards

    - A table without a primary key, or a unique index over NOT NULL columns, is refused: the old values could not be
      given back.
    - `group_by` without an index that begins with its columns is refused: each batch would read the whole table.
    - Who writes a row of a group waits until the whole group is set: a group of a million rows takes seconds.
    - With `parent` one worker goes through the table, whatever `workers` says. Rows that are above themselves cannot be
      set, nor those below them: backfill stops with their number. What `parent` names must be unique.
    - A row that comes into a group when it is done is not set, and the others are not set again.

    ## Example

    ```yaml
    changes:
      - update_rows:
          table: flights
          set: {tailnum: "NULL"}
          where: NOT EXISTS (SELECT FROM planes AS known WHERE known.tailnum = flights.tailnum)
      - update_rows:
          table: orders
          group_by: customer_id
          set:
            number: row_number() OVER (ORDER BY placed_at, id)
            share: total / sum(total) OVER ()
      - update_rows:
          table: categories
          parent: {parent_id: id}
          set: {path: "coalesce(parent.path || '/', '') || slug"}
    ```
    """

    table: Identifier = Field(description="The table; it needs a primary key, or a unique index over NOT NULL columns.")
    set: Annotated[dict[Identifier, Expression], Field(min_length=1, description="For each column, SQL over the row.")]
    where: Expression | None = Field(None, description="SQL over the row: which rows; without it all.")
    group_by: Annotated[tuple[Identifier, ...], BeforeValidator(listed, json_schema_input_type=str | list[str])] = (
        Field(
            (), description="Columns: rows that are equal in them are set together, and `set` may look at all of them."
        )
    )

    parent: dict[Identifier, Identifier] = Field(
        default_factory=dict[str, str],
        description="Column -> the column of the same table that it points at: such a row is set first, and `set` reads"
        " its values as `parent.column`.",
    )

    @model_validator(mode="after")
    def _by_one_order(self) -> UpdateRows:
        if self.group_by and self.parent:
            raise ValueError("`group_by` and `parent` are two orders: a row is set with its group or after its parent")
        return self

    def compile(self, context: Context) -> Compiled:
        """Rows set by SQL over themselves, with their group or after their parent where these are named."""
        table = context.table(self.table)
        rows = SetRows(context, table, tuple(self.set), self.where)
        rows.refuse_unfit("set")
        if self.where is not None:
            checked(context, table, self.where, row=context.row_types(table), wanted="boolean", field="where")
        values = {name: value.render(table.name.name, "t") for name, value in self.set.items()}
        if self.group_by:
            groups = GroupedRows(rows, self.group_by)
            groups.refuse_unfit()
            self._check(context, table, checked_over_group)
            steps = groups.steps(values)
        elif self.parent:
            first = ParentsFirst(rows, self.parent, self._read_of_parent)
            first.refuse_unfit()
            self._check(context, table, partial(checked, row=context.row_types(table), beside=PARENT))
            steps = first.steps(values)
        else:
            self._check(context, table, partial(checked, row=context.row_types(table)))
            steps = rows.steps(values, looks_elsewhere=self._looks_elsewhere)
        maps = tuple(
            Mapped(table.name, name, tuple(sorted(value.columns(table.name.name))), value.text)
            for name, value in self.set.items()
        )
        kept = tuple(dict.fromkeys((*table.key, *self.set)))
        return Compiled(steps=steps, maps=maps, keeps=((table.name, kept),))

    def _check(self, context: Context, table: Table, check: Callable[..., Facts]) -> None:
        for name, value in self.set.items():
            wanted = table.by_name[name].type
            check(context, table, value, wanted=wanted, field=f"set of {name}", at=("set", name))

    @property
    def _read_of_parent(self) -> tuple[str, ...]:
        named = {parts for value in self.set.values() for parts in value.references}
        return tuple(sorted(parts[1] for parts in named if len(parts) == 2 and parts[0] == PARENT))

    @property
    def _looks_elsewhere(self) -> bool:
        """A value, or whether the row matches, comes from other rows."""
        fragments = [*self.set.values(), *([self.where] if self.where is not None else [])]
        return any("SubLink" in fragment.nodes for fragment in fragments)
