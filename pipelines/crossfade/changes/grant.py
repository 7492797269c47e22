"""grant: privileges that roles get."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from crossfade.changes._change import Compiled, Need
from crossfade.changes._context import Context
from crossfade.changes._granting import (
    Granting,
    Right,
    Thing,
    granting,
    granting_again,
    missing_right,
    refuse_unknown_roles,
    revoking,
    with_columns,
)
from crossfade.changes._instant import instant
from crossfade.spec.values import Identifier
from crossfade.steps.step import EXPAND, VALIDATE


class Grant(Granting):
    """Grant privileges.

    On a table, view or materialized view, on some of its columns, on a sequence, schema, function or type, in expand,
    so that the new version has them from its first statement on. What an earlier change of the same migration makes may
    be named: a table, a function, a type; a view, or a column that it fills, on which they are granted in validate.

    ## Old and new versions

    Both may do from expand on what the roles get.

    ## Undo

    Revokes what this change gave. What a role had before it keeps, with the right to grant it on or without.

    ## Locks

    None that anybody waits for.

    ## Hazards

    Privileges on a column that another change of the migration replaces are refused: grant them on the table, or after
    it. A role that does not exist, a privilege that there is not on such a thing, and privileges that all of the roles
    have already are refused when planning. `missing-right`: the role that migrates may not grant them.

    What a role gets by a grant to `public` or as a member of another role is not looked at: it gets the privilege
    itself.

    ## Example

    ```yaml
    changes:
      - grant: {privileges: [select, insert], table: notes, to: [notes_service]}
      - grant: {privileges: [usage], schema: reports, to: [analysts]}
    ```
    """

    to: Annotated[tuple[Identifier, ...], Field(min_length=1)] = Field(
        description="The roles that get them; `public` is everybody."
    )
    grant_option: bool = Field(False, description="They may grant them on.")

    def compile(self, context: Context) -> Compiled:
        """One step; what the roles had is in the catalog."""
        refuse_unknown_roles(context, self.to, "to")
        thing = self.thing(context)
        rights = tuple(self.rights(context, thing, self.to))
        fresh = [right for right in rights if not right.among(thing)]
        # What they have and may not grant on keeps its place: only the option goes again.
        raised = [
            right for right in rights if right not in fresh and self.grant_option and not _may_grant(right, thing)
        ]
        if not fresh and not raised:
            context.refuse(
                f"{', '.join(self.to)} has {', '.join(self.privileges)} on {thing} already",
                fix="leave this change out",
                at=("to",),
            )
        # On the whole table, that takes what they had on columns, too.
        back = [
            *revoking(thing, fresh),
            *revoking(thing, raised, option=True),
            *granting_again(thing, [right for right in with_columns(thing, [*fresh, *raised]) if right.column]),
        ]
        listed, roles = ", ".join(self.privileges), ", ".join(self.to)
        columns = f" ({', '.join(self.columns)})" if self.columns else ""
        filled = thing.relation is not None and any(c in context.arrivals.get(thing.relation, ()) for c in self.columns)
        step = instant(
            context,
            VALIDATE if filled or thing.relation in context.shown else EXPAND,
            f"{thing}/grant/{listed}{columns}/{roles}",
            f"grant {listed}{columns} on {thing} to {roles}",
            granting(thing, [*fresh, *raised], option=self.grant_option),
            back,
            f"revoke what {roles} got on {thing}",
        )
        needs = tuple(
            Need(thing.relation, column, follows=False) for column in self.columns if thing.relation is not None
        )
        return Compiled(steps=(step,), needs=needs, hazards=missing_right(context, thing, rights))


def _may_grant(right: Right, thing: Thing) -> bool:
    return any(each.grantable for each in right.among(thing))
