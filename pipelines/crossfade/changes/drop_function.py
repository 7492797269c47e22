"""drop_function: a function or procedure nobody calls any more."""

from __future__ import annotations

from typing import Annotated

import postgast
from pydantic import AfterValidator, Field

from crossfade.catalog.dependents import words
from crossfade.catalog.model import Function
from crossfade.changes._change import Change, Compiled, Hazard
from crossfade.changes._context import Context
from crossfade.changes._instant import instant
from crossfade.changes._routine import Routine
from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps import again
from crossfade.steps.privileges import privileges_again
from crossfade.steps.step import stage_leg


def _signature(text: str) -> str:
    try:
        statements = postgast.parse(_as_definition(text)).stmts
    except postgast.PgQueryError:
        statements = ()
    if len(statements) != 1 or not statements[0].stmt.HasField("create_function_stmt"):
        raise ValueError(
            "a function is named with its argument types, as in full_name(text, text), or by its name alone"
        )
    return text.strip()


def _as_definition(signature: str) -> str:
    arguments = "" if "(" in signature else "()"
    return f"CREATE FUNCTION {signature}{arguments} RETURNS void LANGUAGE sql AS ''"


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

    function: Annotated[str, AfterValidator(_signature)] = Field(
        description="Its name with the types of its arguments; by its name alone where there is one of that name."
    )

    def compile(self, context: Context) -> Compiled:
        """One statement; its undo is from the catalog."""
        with context.at("function"):
            found = self._found(context)
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

    def _found(self, context: Context) -> Function:
        asked = Routine.of(context, _as_definition(self.function))
        named = [each for each in context.catalog.functions.values() if each.name == asked.name]
        if "(" in self.function:
            exact = context.catalog.functions.get(str(asked))
        else:
            exact = named[0] if len(named) == 1 else None
        if exact is None:
            context.refuse(
                f"function {self.function} does not exist in schema {asked.name.schema} of {context.database}"
                if not named or "(" in self.function
                else f"there are {len(named)} functions {asked.name}",
                fix=f"there are: {'; '.join(map(str, named))}" if named else None,
            )
        return exact
