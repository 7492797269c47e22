"""drop_policy: a row security policy that shall bind nobody any more."""

from __future__ import annotations

from pydantic import Field

from crossfade.changes._change import Change, Compiled, Hazard
from crossfade.changes._context import Context
from crossfade.changes._instant import instant
from crossfade.composing import sql
from crossfade.spec.values import Identifier
from crossfade.steps import again
from crossfade.steps.altered import followers_as_planned
from crossfade.steps.compose import identifier, lock, relation
from crossfade.steps.followers import following_policy
from crossfade.steps.step import stage_leg


class DropPolicy(Change):
    """Drop a row security policy.

    It goes in the stage `drop`.

    ## Old and new versions

    It binds both until `drop`.

    ## Undo

    Creates it again as it was: command, roles, conditions, comment.

    ## Locks

    ACCESS EXCLUSIVE on the table for an instant.

    ## Hazards

    The last permissive policy of a table with row security is told (`no-rows-left`): without one, nobody but the owner
    has any row. A restrictive one is told, since rows it hid are seen from then on (`policy-shows-rows`).

    ## Example

    ```yaml
    changes:
      - drop_policy: {table: notes, name: own_notes}
    ```
    """

    table: Identifier = Field(description="The table, or `schema.table`.")
    name: Identifier = Field(description="Its name.")

    def compile(self, context: Context) -> Compiled:
        """One statement; its undo is from the catalog."""
        table = context.table(self.table)
        found = next((each for each in table.policies if each.name == self.name), None)
        if found is None:
            known = ", ".join(each.name for each in table.policies)
            fix = f"policies here: {known}" if known else "it has none"
            context.refuse(f"policy {self.name} does not exist on {table.name}", fix=fix, at=("name",))
        leg, step_id = stage_leg("drop"), f"{table.name}/policy/{self.name}/drop"
        asked = followers_as_planned(
            f"{step_id}/altered", leg, context.database, (following_policy(table.name, found),)
        )
        step = instant(
            context,
            leg,
            step_id,
            f"drop policy {self.name} of {table.name}",
            (sql.SQL("DROP POLICY {} ON {}").format(sql.Identifier(self.name), identifier(table.name)),),
            again.policy(table.name, found),
            f"create policy {self.name} of {table.name} again",
            locks=lock(relation(table.name), "ACCESS EXCLUSIVE"),
        )
        hazards: list[Hazard] = []
        others = [each for each in table.policies if each.permissive and each is not found]
        if found.permissive and table.row_security and not others:
            what = f"without policy {self.name} nobody but its owner has any row of {table.name}"
            hazards.append(Hazard("no-rows-left", "danger", what, "create another policy, or disable row security"))
        if not found.permissive:
            what = f"rows of {table.name} that policy {self.name} hides are seen from `drop` on"
            hazards.append(Hazard("policy-shows-rows", "danger", what))
        return Compiled(steps=(asked, step), hazards=tuple(hazards))
