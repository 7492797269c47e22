"""drop_view: a view or materialized view nobody needs any more."""

from __future__ import annotations

from pydantic import Field

from crossfade.changes._change import Change, Compiled
from crossfade.changes._context import Context
from crossfade.changes._instant import instant
from crossfade.changes._views import found_view, refuse_used, text_hazards
from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.spec.values import Identifier
from crossfade.steps import again
from crossfade.steps.altered import followers_as_planned
from crossfade.steps.compose import identifier, lock, relation
from crossfade.steps.followers import following_view
from crossfade.steps.step import stage_leg


class DropView(Change):
    """Drop a view or materialized view.

    It goes in the stage `drop`.

    ## Old and new versions

    Both may use it until `drop`; put a gate there.

    ## Undo

    Creates the view again as it was: query, options, owner, grants in their order, comments, defaults, rules and
    triggers; a materialized view with its indexes, and filled again where it was filled.

    ## Locks

    ACCESS EXCLUSIVE on the view for an instant. The tables it reads are not locked. To fill a materialized view again,
    its undo reads them for as long as its query takes: reads and writes go on.

    ## Hazards

    A view that another view, a materialized view, a policy or a function in standard SQL reads is refused, with their
    names: nothing is dropped by CASCADE. Functions whose text names it are told. Where somebody altered the view
    after the plan was made, the stage waits until that is taken back, since the undo would not know it.

    ## Example

    ```yaml
    changes:
      - drop_view: {view: users_with_phone}
    ```
    """

    view: Identifier = Field(description="Its name, or `schema.name`.")

    def compile(self, context: Context) -> Compiled:
        """One statement; its undo is from the catalog."""
        view = found_view(context, self.view)
        refuse_used(context, view)
        leg, locks = stage_leg("drop"), lock(relation(view.name), "ACCESS EXCLUSIVE")
        asked = followers_as_planned(
            f"{view.name}/view/drop/altered", leg, context.database, (following_view(view, 0, rebuilt=True),)
        )
        dropped = instant(
            context,
            leg,
            f"{view.name}/view/drop",
            f"drop {view.kind} {view.name}",
            (sql.SQL("DROP {} {}").format(trusted(view.kind.upper()), identifier(view.name)),),
            map(trusted, again.view(view)),
            f"create {view.kind} {view.name} again",
            locks=locks,
            back_locks=(),
            back_scans=view.materialized and view.populated,
        )
        return Compiled(steps=(asked, dropped), hazards=tuple(text_hazards(view)))
