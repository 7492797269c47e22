"""create_function: a function or procedure, new or with another body."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from crossfade.catalog.model import Function
from crossfade.changes._change import Change, Compiled, Hazard
from crossfade.changes._context import Context
from crossfade.changes._instant import instant
from crossfade.changes._routine import Definition, Routine, replaced_text
from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps import again
from crossfade.steps.step import EXPAND, stage_leg


class CreateFunction(Change):
    """Create or replace a function or procedure.

    One whose name and argument types are there already is replaced: its owner, grants and what depends on it stay.
    With other argument types it is a new one beside the old, which goes on as it is until a `drop_function`.

    The statement is parsed when the spec is checked, and so is its body in SQL or PL/pgSQL.

    ## Old and new versions

    A new function is there when expand has ended. A replaced one is what both versions call from then on, or from
    `cutover` on with `at: cutover`.

    ## Undo

    Puts the old body back, with the settings it had; drops a function that is new.

    ## Locks

    None on a table.

    ## Hazards

    What replaces a function must take parameters of the same names and return the same type, else it is refused. A
    second function of the name is told (`overload`): a call that fits both fails. A SECURITY DEFINER function that does
    not set its search_path is told (`definer-search-path`).

    ## Example

    ```yaml
    changes:
      - create_function:
          definition: |
            CREATE FUNCTION full_name(first text, last text) RETURNS text
              LANGUAGE sql IMMUTABLE AS $$ SELECT concat_ws(' ', first, last) $$
          comment: as it stands on letters
    ```
    """

    definition: Definition = Field(description="The whole CREATE FUNCTION or CREATE PROCEDURE statement.")
    comment: str | None = Field(None, description="What it is for.")
    at: Literal["expand", "cutover"] = Field("expand", description="When it is made or replaced.")

    def compile(self, context: Context) -> Compiled:
        """One statement; what was there is in the catalog."""
        with context.at("definition"):
            routine = Routine.of(context, self.definition)
        if str(routine) in context.defined:
            context.refuse(f"{routine} is made by another change of this migration", fix="say it once")
        before = context.catalog.functions.get(str(routine))
        if before is not None:
            self._refuse_reshaped(context, routine, before)
        kind = sql.SQL("ROUTINE")
        comment = [*again.comment(kind, routine.sql, self.comment)]
        if before is None:
            back: list[sql.Composable] = [sql.SQL("DROP ROUTINE IF EXISTS {}").format(routine.sql)]
        else:
            back = [trusted(before.definition)]
            if comment:
                back.append(sql.SQL("COMMENT ON ROUTINE {} IS {}").format(routine.sql, sql.Literal(before.comment)))
        does = "replace" if before is not None else "create"
        step = instant(
            context,
            stage_leg("cutover") if self.at == "cutover" else EXPAND,
            f"{routine}/{does}",
            f"{does} {routine.kind} {routine}",
            (trusted(self.definition if before is None else replaced_text(self.definition)), *comment),
            back,
            f"give {routine} its body of before" if before is not None else f"drop {routine.kind} {routine}",
        )
        return Compiled(steps=(step,), defines=(str(routine),), hazards=self._hazards(context, routine, before))

    def _refuse_reshaped(self, context: Context, routine: Routine, before: Function) -> None:
        was = Routine.of(context, before.definition)
        if (was.kind, was.shape) != (routine.kind, routine.shape):
            context.refuse(
                f"{routine} would not be what its callers know: it was a {was.kind} of ({_shown(was)}),"
                f" it would be a {routine.kind} of ({_shown(routine)})",
                why="PostgreSQL replaces a function only by one of the same parameters and result",
                fix="give it another name or other argument types, and drop this one when nobody calls it any more",
                at=("definition",),
            )

    def _hazards(self, context: Context, routine: Routine, before: Function | None) -> tuple[Hazard, ...]:
        found: list[Hazard] = []
        others = [str(o) for o in context.catalog.functions.values() if o.name == routine.name and o is not before]
        if before is not None:
            what = f"both versions call the new {routine} from {self.at} on: see that the old one can bear it"
            found.append(Hazard("function-for-both", "warning", what, "give it another name for the new version"))
        elif others:
            what = f"{routine} stands beside {', '.join(others)}: a call that fits more than one fails"
            found.append(Hazard("overload", "warning", what, "cast the arguments in calls, or give it another name"))
        if routine.runs_as_owner:
            what = f"{routine} runs as its owner under its caller's search_path, who can put other objects in place"
            found.append(Hazard("definer-search-path", "warning", what, "say SET search_path = ... in its definition"))
        return tuple(found)


def _shown(routine: Routine) -> str:
    *parameters, gives = routine.shape
    return ", ".join(parameters) + (f") returning ({gives}" if gives else "")
