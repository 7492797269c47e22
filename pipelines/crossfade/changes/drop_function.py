"""drop_function: a function or procedure nobody calls any more."""

from __future__ import annotations

from pydantic import Field

from crossfade.catalog.dependents import words
from crossfade.changes._change import Change, Compiled, Hazard
from crossfade.changes._context import Context
from crossfade.changes._instant import instant
from crossfade.changes._routine import Routine, Signature, found_routine
from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps import again
from crossfade.steps.privileges import privileges_again
from crossfade.steps.step import stage_leg


class DropFunction(Change):
    """Drop a function or procedure.

    It goes in the stage `drop`.

    ## Old and new versions

    Both may call it until `drop`; put a gate there.

    ## Undo

    Creates it again as it was: body, settings, owner, grants, comment.

    ## Locks

    None on a table.

    ## Hazards

    A function that a trigger, policy, view, default, index, constraint or generated column uses is refused, with their
    names. Functions whose text names it are told (`function-body`): nobody can tell whether they call it.

    ## Example

    ```yaml
    changes:
      - drop_function: {function: "full_name(text, text)"}
    ```
    """

    function: Signature = Field(
        description="Its name with the types of its arguments; by its name alone where there is one of that name."
    )

    def compile(self, context: Context) -> Compiled:
        """One statement; its undo is from the catalog."""
        with context.at("function"):
            found = found_routine(context, self.function)
            routine = Routine.of(context, found.definition)
            if users := context.probe.users_of(routine.sql.as_string(None)):
                context.refuse(
                    f"{found} is used by {', '.join(users)}",
                    why="it cannot be dropped while something uses it, and nothing is dropped unasked",
                    fix="drop or replace that first, in a migration that comes before",
                )
        dropped = instant(
            context,
            stage_leg("drop"),
            f"{found}/drop",
            f"drop {routine.kind} {found}",
            (sql.SQL("DROP ROUTINE {}").format(routine.sql),),
            (
                trusted(found.definition),
                sql.SQL("ALTER ROUTINE {} OWNER TO {}").format(routine.sql, sql.Identifier(found.owner)),
                *again.comment(sql.SQL("ROUTINE"), routine.sql, found.comment),
                *privileges_again("ROUTINE", routine.sql, found.grants),
            ),
            f"create {routine.kind} {found} again",
        )
        naming = [
            str(other)
            for other in context.catalog.functions.values()
            if other is not found and found.name.name in words(other.body)
        ]
        told = tuple(
            Hazard("function-body", "warning", f"{other} names {found.name}: see that it does not call it")
            for other in naming
        )
        return Compiled(steps=(dropped,), hazards=told)
