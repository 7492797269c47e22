"""replace_view: another query for a view that stays."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from crossfade.catalog.model import View
from crossfade.changes._change import Change, Compiled, Hazard
from crossfade.changes._context import Context
from crossfade.changes._instant import instant
from crossfade.changes._query import Query, columns_of, leg_of, needs_of
from crossfade.changes._views import bypass_hazards, found_view, lost_columns, over, refuse_used, text_hazards
from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.spec.values import Identifier
from crossfade.steps import again
from crossfade.steps.altered import followers_as_planned
from crossfade.steps.compose import identifier
from crossfade.steps.followers import following_view, lock_followers, made_again, taken_away
from crossfade.steps.step import Lock, stage_leg


class ReplaceView(Change):
    """Replace the query of a view.

    Both versions read the view by its name, so the new query must keep its columns: their names, types and order. It
    may give more, after these. Owner, grants, comments, options, rules and triggers stay.

    With `at: cutover` the query is replaced in that stage, for a view whose rows mean something else afterwards.

    A view that reads a column which another change of the same migration splits, merges, renames or drops is replaced
    so: by a query over the columns that take its place. It is in place before the old column is hidden.

    ## Old and new versions

    Until it is replaced, in expand or at `cutover`, both read the old query, then both read the new one. A query that
    names a column which the same migration brings and fills is put in place at the end of validate at the earliest.

    ## Undo

    Puts the old query back. Where the new one gave more columns, the view is dropped and created as it was, with the
    views over it.

    ## Locks

    ACCESS EXCLUSIVE on the view for an instant; not on the tables it reads.

    ## Hazards

    A query that drops, renames, moves or retypes a column of the view is refused, with what differs: create a view of
    another name beside it, and drop the old one when nobody reads it.

    ## Example

    ```yaml
    changes:
      - replace_view:
          view: active_users
          as: SELECT id, email, created_at FROM users WHERE deleted_at IS NULL
    ```
    """

    view: Identifier = Field(description="Its name, or `schema.name`.")
    as_: Query = Field(alias="as", description="The SELECT it is made of from then on.")
    at: Literal["expand", "cutover"] = Field("expand", description="When it is replaced.")

    @property
    def rewrites(self) -> tuple[str, ...]:
        """What it reads then, no change of the migration may take away."""
        return (self.view,)

    def compile(self, context: Context) -> Compiled:
        """CREATE OR REPLACE, which keeps all else; the way back may need the view dropped."""
        view = found_view(context, self.view, materialized=False)
        gives = columns_of(context, self.as_)
        if lost := lost_columns(view, gives) if gives is not None else []:
            context.refuse(
                f"{view.name} would not be what its readers know: {'; '.join(lost)}",
                why="PostgreSQL replaces a view only by one that gives the same columns, and maybe more after them",
                fix="create a view of another name, and drop this one when nobody reads it any more",
                at=("as",),
            )
        leg = stage_leg("cutover") if self.at == "cutover" else leg_of(context, self.as_)
        tree = over(context.catalog, view)
        # CREATE OR REPLACE takes no column away.
        wider = gives is None or len(gives) > len(view.columns)
        back = [*taken_away(tree), *made_again(tree)] if wider else [again.replaced(view)]
        if wider:
            refuse_used(context, view, besides=("view",))
        here: tuple[Lock, ...] = lock_followers(None, tree[:1])
        asked = followers_as_planned(
            f"{view.name}/view/replace/altered",
            leg,
            context.database,
            tree if wider else (following_view(view, 0, rebuilt=False),),
        )
        replaced = instant(
            context,
            leg,
            f"{view.name}/view/replace",
            f"replace the query of view {view.name}",
            (self._created(view),),
            map(trusted, back),
            f"give view {view.name} its query of before",
            locks=here,
            back_locks=lock_followers(None, tree) if wider else here,
        )
        return Compiled(
            steps=(asked, replaced),
            needs=tuple(needs_of(context, self.as_)),
            hazards=(
                *text_hazards(view),
                *self._meaning(view),
                *bypass_hazards(
                    context, view.name, self.as_, invoker=any("security_invoker" in o for o in view.options)
                ),
            ),
        )

    def _created(self, view: View) -> sql.Composable:
        said = sql.SQL(" WITH ({})").format(sql.SQL(", ").join(map(again.option, view.options)))
        return sql.SQL("CREATE OR REPLACE VIEW {}{} AS\n{}").format(
            identifier(view.name), said if view.options else sql.SQL(""), trusted(self.as_)
        )

    def _meaning(self, view: View) -> tuple[Hazard, ...]:
        what = f"both versions read the new query of {view.name} from {self.at} on: see that the old one can bear it"
        return (Hazard("view-for-both", "warning", what, "create a view of another name for the new version"),)
