"""merge_columns: several columns for the old version, one for the new one, kept in step both ways."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from crossfade.changes._change import Change, Compiled
from crossfade.changes._context import Context
from crossfade.changes._fresh import Fresh
from crossfade.changes._reshaped import Reshaped
from crossfade.spec.fragment import Expression
from crossfade.spec.values import Identifier


class MergeColumns(Change):
    """Merge several columns into one.

    The new column is added empty beside the old ones, kept in step with them by a trigger and filled in batches. `up`
    gives its value from the old row; `down` gives each old column's value from the new row. A value that cannot be
    mapped never fails the statement that writes it: the row is noted in `crossfade.conflict`, and contract waits
    until it is mended.

    What the new version did not write keeps its old values byte for byte: `down` is asked only where the new column
    changes, and then for all of the old ones. Where `down` cannot tell (a name back into its parts), say the best it
    can.

    Rules over the new column together with others are given with `add_constraint`, indexes with `create_index`, below
    this change in the same migration.

    ## Old and new versions

    From expand on the old version uses the old columns and the new version the new one; what either writes, the other
    one reads. From validate on the new column's rules hold for every row, and the new version may rely on them. At
    `retire` the old columns are hidden under other names and go on following the new one; at `archive` that ends.

    The new column may bear one of the old names (`street` and `number` into `street`). Then it is there for the new
    version from `cutover` on, when the names are swapped in one short transaction.

    A statement that writes old and new columns so that they disagree puts the row in conflict.

    ## Undo

    Before contract the new column and the trigger are dropped. From `retire` (or `cutover`) to `archive` the old
    columns take their names again at once, with all that was written since; after it from the archive, by key, while
    it is kept.

    ## Locks

    - expand: ACCESS EXCLUSIVE on the table for an instant (new column), SHARE ROW EXCLUSIVE for an instant (trigger).
    - backfill: ROW EXCLUSIVE, batch by batch; rows that somebody holds are skipped.
    - validate: ACCESS EXCLUSIVE for an instant (a rule, not validated yet), then a scan that lets reads and writes go
      on.
    - contract: ACCESS EXCLUSIVE for an instant at `retire` (or `cutover`), `archive` and `drop`.

    ## Hazards

    `goes-with-column` names the indexes over the old columns, which the new one is without.
    `old-rule-binds-new` names their rules: they bind what the new version writes too, through `down`, until they are
    dropped. `prepared-statements`: see `rename_column`.

    Refused: what else names one of the columns (a policy, a foreign key, a trigger, a materialized view, a generated
    column), by name, with the way out; a view, unless a [replace_view](replace_view.md) in the same migration gives it
    another query; a column in the primary key.

    ## Example

    ```yaml
    changes:
      - merge_columns:
          table: users
          columns: [is_admin, is_editor]
          into:
            role:
              type: text
              up: CASE WHEN is_admin THEN 'admin' WHEN is_editor THEN 'editor' ELSE 'reader' END
              nullable: false
              default: "'reader'"
              check: role IN ('admin', 'editor', 'reader')
          down: {is_admin: role = 'admin', is_editor: "role IN ('admin', 'editor')"}
    ```
    """

    table: Identifier = Field(description="The table that has the columns.")
    columns: Annotated[tuple[Identifier, ...], Field(min_length=2)] = Field(description="The columns that leave.")
    into: Annotated[dict[Identifier, Fresh], Field(min_length=1, max_length=1)] = Field(
        description="The new column by its name, with its type and how it is made from the old row.",
    )
    down: dict[Identifier, Expression] = Field(
        description="Each of the old columns, with SQL over the new row that gives its value."
    )

    @model_validator(mode="after")
    def _gives_each_a_value(self) -> MergeColumns:
        if missing := [name for name in self.columns if name not in self.down]:
            raise ValueError(f"`down` must say how {missing[0]} is made from the new row")
        if unknown := [name for name in self.down if name not in self.columns]:
            raise ValueError(f"`down` names {unknown[0]}, which is not among `columns`")
        return self

    def compile(self, context: Context) -> Compiled:
        """A pair of several old columns and one new one."""
        table = context.table(self.table)
        for number, name in enumerate(self.columns):
            context.column(table, name, "columns", number)
        down = {name: self.down[name] for name in self.columns}
        return Reshaped(context, table, down, self.into, {name: ("down", name) for name in down}).compile()
