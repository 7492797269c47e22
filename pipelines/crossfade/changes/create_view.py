"""create_view: a new view."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from crossfade.changes._change import Change, Compiled
from crossfade.changes._context import Context
from crossfade.changes._instant import instant
from crossfade.changes._query import Query, columns_of, leg_of, needs_of
from crossfade.changes._views import bypass_hazards, created, refuse_taken
from crossfade.composing import sql
from crossfade.spec.values import Identifier
from crossfade.steps import again
from crossfade.steps.compose import identifier, lock, relation


class CreateView(Change):
    """Create a view.

    It is there when expand has ended. A view that names a column which the same migration brings and fills comes at the
    end of validate, when every row has it. The query is parsed when the spec is checked, and asked of the database when
    it is planned.

    ## Old and new versions

    The new version may use it from then on; the old one does not know it.

    ## Undo

    Drops the view. What others have built on it since must be dropped first.

    ## Locks

    ACCESS SHARE on what it reads, for an instant: nobody waits.

    ## Hazards

    A view reads its tables as its owner. Where these have row security and `security_invoker` is not said, the plan
    warns (`bypasses-row-security`). A query that names a column which another change of the migration takes away is
    refused, and `security_invoker` before PostgreSQL 15.

    ## Example

    ```yaml
    changes:
      - create_view:
          view: active_users
          as: SELECT id, email FROM users WHERE deleted_at IS NULL
          security_invoker: true
          comment: users that have not left
    ```
    """

    view: Identifier = Field(description="Its name, or `schema.name`.")
    as_: Query = Field(alias="as", description="The SELECT it is made of.")
    security_barrier: bool = Field(False, description="Conditions of the view are asked before those of its readers.")
    security_invoker: bool = Field(False, description="It reads its tables as whoever reads it (PostgreSQL 15).")
    check_option: Literal["local", "cascaded"] | None = Field(
        None, description="Rows written through it must be rows of it; `cascaded`: of the views below it, too."
    )
    comment: str | None = Field(None, description="What it is for.")

    def compile(self, context: Context) -> Compiled:
        """One statement, and its comment."""
        name = context.name(self.view)
        refuse_taken(context, name)
        gives = columns_of(context, self.as_)
        options = view_options(context, self.security_barrier, self.security_invoker, self.check_option)
        step = instant(
            context,
            leg_of(context, self.as_),
            f"{name}/view",
            f"create view {name}",
            (
                created(name, self.as_, options),
                *again.comment(sql.SQL("VIEW"), identifier(name), self.comment),
            ),
            (sql.SQL("DROP VIEW IF EXISTS {}").format(identifier(name)),),
            f"drop view {name}",
            back_locks=lock(relation(name), "ACCESS EXCLUSIVE"),
        )
        return Compiled(
            steps=(step,),
            shows=((name, dict(gives)),) if gives is not None else (),
            needs=tuple(needs_of(context, self.as_)),
            hazards=tuple(bypass_hazards(context, name, self.as_, invoker=self.security_invoker)),
        )


def view_options(context: Context, barrier: bool, invoker: bool, check: str | None) -> dict[str, str]:
    """As WITH (...) says them."""
    version = context.catalog.server.version // 10000
    if invoker and version < 15:
        context.refuse(
            f"`security_invoker` needs PostgreSQL 15, and {context.database} runs {version}",
            why="before, a view always reads its tables as its owner",
            fix="leave it out, and let the view's owner be one whom policies bind",
            at=("security_invoker",),
        )
    said = {"security_barrier": barrier, "security_invoker": invoker}
    return {key: "true" for key, wanted in said.items() if wanted} | ({"check_option": check} if check else {})
