"""refresh_materialized_view: a materialized view filled anew."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from crossfade.catalog.model import View
from crossfade.changes._change import Change, Compiled, Hazard
from crossfade.changes._context import Context
from crossfade.changes._views import found_view
from crossfade.composing import sql
from crossfade.spec.values import Identifier
from crossfade.steps.compose import identifier, lock, relation, text
from crossfade.steps.step import VALIDATE, Ddl, stage_leg


class RefreshMaterializedView(Change):
    """Refresh a materialized view.

    Its query is run again, when the rows it reads are as they shall be: in validate, or in a stage that `at` names. It
    is done concurrently where a unique index over all of its rows allows that: then others read the old rows until the
    new ones are there.

    Without such an index, or where it was never filled, it is refreshed plainly. Nobody reads it while that is done.
    One that is filled is then refreshed only where the spec says `concurrently: false`.

    ## Old and new versions

    Both read the old rows until it is done, and the new ones from then on.

    ## Undo

    Nothing is taken back: it goes on holding what its query gave. Refresh it again when the rows under it are as they
    were before.

    ## Locks

    EXCLUSIVE on the materialized view as long as the query takes, for which another refresh waits and nobody else;
    plainly ACCESS EXCLUSIVE, for which whoever reads it waits. ACCESS SHARE on what it reads: reads and writes go on.

    ## Hazards

    `readers-wait`: with `concurrently: false`, readers wait until the query is done. To refresh one concurrently that
    has no unique index over columns of all rows, or was never filled, is refused.

    ## Example

    ```yaml
    changes:
      - update_rows: {table: orders, where: total < 0, set: {total: "0"}}
      - refresh_materialized_view: {view: daily_totals}
    ```
    """

    view: Identifier = Field(description="Its name, or `schema.name`.")
    concurrently: bool | None = Field(
        None, description="Whether others may read it meanwhile; left out: they may, or it is refused."
    )
    at: Literal["validate", "cutover", "drop"] = Field("validate", description="When it is done.")

    def compile(self, context: Context) -> Compiled:
        """One statement."""
        view = found_view(context, self.view, materialized=True)
        concurrently = self._concurrently(context, view)
        read = sorted({name for name, _ in view.reads if name in context.catalog.tables})
        mode = "EXCLUSIVE" if concurrently else "ACCESS EXCLUSIVE"
        step = Ddl(
            id=f"{view.name}/refresh",
            leg=VALIDATE if self.at == "validate" else stage_leg(self.at),
            database=context.database,
            title=f"refresh materialized view {view.name}{' concurrently' if concurrently else ''}",
            locks=(
                *lock(relation(view.name), mode),
                *(found for name in read for found in lock(relation(name), "ACCESS SHARE")),
            ),
            statements=text(
                sql.SQL("REFRESH MATERIALIZED VIEW {}{}").format(
                    sql.SQL("CONCURRENTLY " if concurrently else ""), identifier(view.name)
                )
            ),
            works_locked=True,
            undo_title="nothing to take back: refresh it again when the rows under it are as they were",
        )
        return Compiled(steps=(step,), hazards=self._hazards(view, concurrently))

    def _concurrently(self, context: Context, view: View) -> bool:
        lacking = _lacking(view)
        if self.concurrently and lacking:
            context.refuse(
                f"{view.name} cannot be refreshed concurrently: {lacking}",
                why="PostgreSQL tells the rows that changed by a unique index over columns of all rows",
                fix="leave `concurrently` out where it was never filled"
                if not view.populated
                else "create a unique index over columns of it first, or say `concurrently: false`",
                at=("concurrently",),
            )
        if self.concurrently is None and lacking and view.populated:
            context.refuse(
                f"whoever reads {view.name} would wait until its query is done: {lacking}",
                why="without a unique index over columns of all rows it is refreshed under ACCESS EXCLUSIVE",
                fix="create such an index first, or say `concurrently: false` if its readers may wait",
                at=("view",),
            )
        return self.concurrently is not False and not lacking

    def _hazards(self, view: View, concurrently: bool) -> tuple[Hazard, ...]:
        if concurrently or not view.populated:
            return ()
        what = f"whoever reads {view.name} waits until its query is done"
        return (Hazard("readers-wait", "danger", what, "leave `concurrently` out, and give it a unique index"),)


def _lacking(view: View) -> str | None:
    if not view.populated:
        return "it was never filled"
    if any(i.unique and i.valid and i.predicate is None and "" not in i.columns for i in view.indexes):
        return None
    return "it has no unique index over columns of all rows"
