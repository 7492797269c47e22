"""split_column: one column for the old version, several for the new one, kept in step both ways."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from crossfade.changes._change import Change, Compiled
from crossfade.changes._context import Context
from crossfade.changes._fresh import Fresh
from crossfade.changes._reshaped import Reshaped
from crossfade.spec.fragment import Expression
from crossfade.spec.values import Identifier


class SplitColumn(Change):
    """Split a column into several.

    The new columns are added empty beside the old one, kept in step with it by a trigger and filled in batches. `up`
    of each gives its value from the old row, `down` gives the old value from the new row. A value that cannot be
    mapped never fails the statement that writes it: the row is noted in `crossfade.conflict`, and contract waits
    until it is mended.

    What the new version did not write keeps its old value byte for byte: `down` is asked only where one of the new
    columns changes. So a name with a middle part that `up` cannot tell apart stays whole for the old version.

    Rules over several of the new columns (a unique key, a check) are given with `add_constraint`, indexes with
    `create_index`, below this change in the same migration.

    ## Old and new versions

    From expand on the old version uses the old column and the new version the new ones; what either writes, the other
    one reads. From validate on the new columns' rules hold for every row, and the new version may rely on them. At
    `retire` the old column is hidden under another name and goes on following the new ones; at `archive` that ends.

    One of the new columns may bear the old one's name (`price` into `price` and `currency`). Then none of them is
    there for the new version before `cutover`, when the names are swapped in one short transaction.

    A statement that writes old and new columns so that they disagree puts the row in conflict.

    ## Undo

    Before contract the new columns and the trigger are dropped. From `retire` (or `cutover`) to `archive` the old
    column takes its name again at once, with all that was written since; after it from the archive, by key, while it
    is kept.

    ## Locks

    - expand: ACCESS EXCLUSIVE on the table for an instant (new columns), SHARE ROW EXCLUSIVE for an instant (trigger).
    - backfill: ROW EXCLUSIVE, batch by batch; rows that somebody holds are skipped.
    - validate: ACCESS EXCLUSIVE for an instant (a rule, not validated yet), then a scan that lets reads and writes go
      on.
    - contract: ACCESS EXCLUSIVE for an instant at `retire` (or `cutover`), `archive` and `drop`.

    ## Hazards

    `goes-with-column` names the indexes over the old column, which the new ones are without.
    `old-rule-binds-new` names its rules: they bind what the new version writes too, through `down`, until it is
    dropped. `prepared-statements`: see `rename_column`.

    Refused: what else names the column (a policy, a foreign key, a trigger, a materialized view, a generated
    column), by name, with the way out; a view, unless a [replace_view](replace_view.md) in the same migration gives it
    another query; a column in the primary key.

    ## Example

    ```yaml
    changes:
      - split_column:
          table: users
          column: full_name
          into:
            first_name: {type: text, up: "split_part(full_name, ' ', 1)"}
            last_name: {type: text, up: "nullif(substr(full_name, strpos(full_name || ' ', ' ') + 1), '')"}
          down: concat_ws(' ', first_name, last_name)
    ```
    """

    table: Identifier = Field(description="The table that has the column.")
    column: Identifier = Field(description="The column that leaves.")
    into: Annotated[dict[Identifier, Fresh], Field(min_length=1)] = Field(
        description="The new columns by name, each with its type and how it is made from the old row.",
    )
    down: Expression = Field(description="SQL over the new row that gives the old column's value.")

    def compile(self, context: Context) -> Compiled:
        """A pair of one old column and several new ones."""
        table = context.table(self.table)
        context.column(table, self.column, "column")
        return Reshaped(context, table, {self.column: self.down}, self.into, {self.column: ("down",)}).compile()
