"""revoke: privileges that roles lose."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

from pydantic import Field

from crossfade.changes._change import Compiled, Hazard
from crossfade.changes._context import Context
from crossfade.changes._granting import (
    Granting,
    Right,
    Thing,
    granting_again,
    missing_right,
    refuse_unknown_roles,
    revoking,
    with_columns,
)
from crossfade.changes._instant import instant
from crossfade.spec.values import Identifier
from crossfade.steps.step import EXPAND, stage_leg


class Revoke(Granting):
    """Revoke privileges.

    It is done at `retire`, the stage in which all goes that only the old version needs: until then it may rely on what
    it has. With `at: expand` it is done at once, for a privilege that nobody should have had.

    A privilege on a table that is revoked goes from each of its columns too, as PostgreSQL does it.

    ## Old and new versions

    Both may do until the stage what they may do now. From then on a statement that needs the privilege fails with
    `permission denied`, of either version: put a gate before it.

    ## Undo

    Grants again what the roles had, on columns as well, with the right to grant it on where they had it. It stands last
    in the list of privileges then, which means nothing.

    ## Locks

    None that anybody waits for.

    ## Hazards

    - `needs-no-more`: from the stage on statements that need the privilege fail.
    - `still-granted`: the roles go on having it, since everybody has it, or since they have it on the whole table. What
      they have as members of other roles is not looked at.
    - `missing-right`: the role that migrates may not revoke it.

    Refused: a role that does not exist; a privilege that none of the roles has; one that a role has granted on, or has
    from another than the owner, by name, for PostgreSQL would take it from the others too, or not at all.

    ## Example

    ```yaml
    changes:
      - revoke: {privileges: [update, delete], table: invoices, from: [app]}
    ```
    """

    from_: Annotated[tuple[Identifier, ...], Field(min_length=1)] = Field(
        alias="from", description="The roles that lose them; `public` is everybody."
    )
    at: Literal["expand", "retire"] = Field("retire", description="When it is done.")

    def compile(self, context: Context) -> Compiled:
        """One step; what the roles had is in the catalog."""
        refuse_unknown_roles(context, self.from_, "from")
        thing = self.thing(context)
        asked = tuple(self.rights(context, thing, self.from_))
        held = [right for right in with_columns(thing, asked) if right.among(thing)]
        listed, roles = ", ".join(self.privileges), ", ".join(self.from_)
        if not held:
            context.refuse(
                f"none of {roles} has {listed} on {thing}" + (" by a grant on the columns" if self.columns else ""),
                why="there is nothing to revoke"
                + ("; they may have it on the whole table" if self.columns else "; they may have it through `public`"),
                at=("privileges",),
            )
        for right in held:
            self._refuse_passed_on(context, thing, right)
        columns = f" ({', '.join(self.columns)})" if self.columns else ""
        step = instant(
            context,
            EXPAND if self.at == "expand" else stage_leg("retire"),
            f"{thing}/revoke/{listed}{columns}/{roles}",
            f"revoke {listed}{columns} on {thing} from {roles}",
            revoking(thing, [right for right in asked if right in held or _of_columns(right, held)]),
            granting_again(thing, held),
            f"grant {roles} again what they had on {thing}",
        )
        return Compiled(
            steps=(step,),
            hazards=(*missing_right(context, thing, asked), *self._hazards(thing, held, listed, roles)),
        )

    def _refuse_passed_on(self, context: Context, thing: Thing, right: Right) -> None:
        given = right.among(thing)
        owner = thing.owner or given[0].grantor
        if other := next((each.grantor for each in given if each.grantor != owner), None):
            context.refuse(
                f"{right.role or 'public'} has {right.privilege} on {thing} from {other}, who does not own it",
                why="PostgreSQL takes a privilege only from those whom the same role gave it",
                fix=f"revoke it as {other}, in a `sql` change with SET LOCAL ROLE, or grant it as the owner first",
                at=("from",),
            )
        passed = [
            each.grantee or "public"
            for each in thing.on(right.column)
            if right.role and each.grantor == right.role != owner and right.privilege in each.privileges
        ]
        if passed:
            context.refuse(
                f"{right.role} has granted {right.privilege} on {thing} on to {', '.join(passed)}",
                why="it goes from these with it, and nothing is revoked unasked",
                fix="grant it to them as the owner, and revoke what they have from there, in a migration before this",
                at=("from",),
            )

    def _hazards(self, thing: Thing, held: Iterable[Right], listed: str, roles: str) -> Iterator[Hazard]:
        what = f"from {self.at} on statements of {roles} that need {listed} on {thing} fail with permission denied"
        yield Hazard("needs-no-more", "warning", what, "let a gate hold it back until no version needs it")
        for right in held:
            if self.columns and Right(right.privilege, right.role).among(thing):
                yield _still(right, thing, "on the whole table")
            elif right.role and Right(right.privilege, "").among(thing):
                yield _still(right, thing, "through public")


def _still(right: Right, thing: Thing, how: str) -> Hazard:
    what = f"{right.role or 'public'} goes on having {right.privilege} on {thing} {how}"
    return Hazard("still-granted", "warning", what, "revoke it there too")


def _of_columns(right: Right, held: Iterable[Right]) -> bool:
    return right.column is None and any((e.privilege, e.role) == (right.privilege, right.role) for e in held)
