"""drop_trigger: a trigger nobody needs any more."""

from __future__ import annotations

from pydantic import Field

from crossfade.changes._change import Change, Compiled
from crossfade.changes._context import Context
from crossfade.changes._instant import instant
from crossfade.composing import sql
from crossfade.spec.values import Identifier
from crossfade.steps import again
from crossfade.steps.compose import identifier, lock, relation
from crossfade.steps.step import stage_leg


class DropTrigger(Change):
    """Drop a trigger.

    It goes in the stage `drop`. Its function stays; `drop_function` in a later migration takes it away.

    ## Old and new versions

    The writes of both fire it until `drop`.

    ## Undo

    Creates it again as it was, with its comment, and disabled where it was. What it would have done to rows written
    meanwhile, it has not done.

    ## Locks

    ACCESS EXCLUSIVE on the table for an instant.

    ## Hazards

    A trigger of another migration of crossfade is refused, and the copy that a partition has of its partitioned
    table's.

    ## Example

    ```yaml
    changes:
      - drop_trigger: {table: users, name: count_users}
    ```
    """

    table: Identifier = Field(description="The table, or `schema.table`.")
    name: Identifier = Field(description="Its name.")

    def compile(self, context: Context) -> Compiled:
        """One statement; its undo is from the catalog."""
        table = context.table(self.table)
        found = next((each for each in table.user_triggers if each.name == self.name), None)
        if found is None:
            known = ", ".join(each.name for each in table.user_triggers)
            fix = f"triggers here: {known}" if known else "it has none"
            context.refuse(f"trigger {self.name} does not exist on {table.name}", fix=fix, at=("name",))
        if found.inherited:
            context.refuse(
                f"trigger {self.name} of {table.name} is the copy of one of {table.partition_of}",
                why="it goes with that one",
                fix=f"say table: {table.partition_of.name if table.partition_of else ''}",
                at=("table",),
            )
        step = instant(
            context,
            stage_leg("drop"),
            f"{table.name}/trigger/{self.name}/drop",
            f"drop trigger {self.name} of {table.name}",
            (sql.SQL("DROP TRIGGER {} ON {}").format(sql.Identifier(self.name), identifier(table.name)),),
            again.trigger(table.name, found),
            f"create trigger {self.name} of {table.name} again",
            locks=lock(relation(table.name), "ACCESS EXCLUSIVE"),
            back_locks=lock(relation(table.name), "SHARE ROW EXCLUSIVE"),
        )
        return Compiled(steps=(step,))
