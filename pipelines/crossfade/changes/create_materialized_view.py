"""create_materialized_view: a query whose rows are kept, with indexes of their own."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from crossfade.catalog.model import Name
from crossfade.changes._change import Change, Compiled
from crossfade.changes._context import Columns, Context
from crossfade.changes._instant import instant
from crossfade.changes._obstacles import refuse_taken_index
from crossfade.changes._query import Query, columns_of, leg_of, needs_of, read_by
from crossfade.changes._views import bypass_hazards, no_unique_index, refuse_taken
from crossfade.composing import sql
from crossfade.spec.errors import did_you_mean
from crossfade.spec.fragment import trusted
from crossfade.spec.values import Identifier, SpecModel
from crossfade.steps import again
from crossfade.steps.compose import identifier, lock, names, relation
from crossfade.steps.step import VALIDATE, Ddl


class IndexOfView(SpecModel):
    """An index of a materialized view."""

    name: Identifier = Field(description="Its name.")
    columns: Annotated[tuple[Identifier, ...], Field(min_length=1)] = Field(description="Columns of the view.")
    unique: bool = Field(False, description="No two rows are alike in them: what lets it be refreshed concurrently.")
    method: str = Field("btree", description="The access method.", pattern=r"^[a-z_][a-z0-9_]*$")


class CreateMaterializedView(Change):
    """Create a materialized view.

    It is made empty, with its indexes, in expand, and filled in validate, when all that its query reads has been
    filled. One that names a column which the same migration brings and fills is made at the end of validate.

    It holds what its query gave when it was filled, and is filled anew by REFRESH MATERIALIZED VIEW alone, or by
    [refresh_materialized_view](refresh_materialized_view.md). A unique index lets that be done while others read it.

    ## Old and new versions

    The new version may use it when validate has ended: before, a query of it fails with `has not been populated`. The
    old version does not know it.

    ## Undo

    Drops it. What others have built on it since must be dropped first.

    ## Locks

    ACCESS SHARE on what it reads, for an instant when it is made, and as long as the query takes when it is filled:
    reads and writes go on, DDL on these tables waits.

    ## Hazards

    - `no-unique-index`: it cannot be refreshed concurrently; who reads it waits while it is refreshed.
    - `bypasses-row-security`: it reads its tables as its owner, and hides nothing from whoever may read it.

    A query that names a column which another change of the migration takes away is refused, and so are indexes over
    columns that it does not give.

    ## Example

    ```yaml
    changes:
      - create_materialized_view:
          view: daily_totals
          as: SELECT placed::date AS day, sum(total) AS total FROM orders GROUP BY 1
          indexes: [{name: daily_totals_day, columns: [day], unique: true}]
    ```
    """

    view: Identifier = Field(description="Its name, or `schema.name`.")
    as_: Query = Field(alias="as", description="The SELECT it is made of.")
    populated: bool = Field(True, description="Whether it is filled; `false`: somebody refreshes it later.")
    indexes: tuple[IndexOfView, ...] = Field((), description="Its indexes.")
    comment: str | None = Field(None, description="What it is for.")

    def compile(self, context: Context) -> Compiled:
        """Made without a scan; then one statement that reads."""
        name = context.name(self.view)
        refuse_taken(context, name)
        gives = columns_of(context, self.as_)
        for number, index in enumerate(self.indexes):
            self._refuse_unsound(context.within("indexes", number), name, index, gives)
        called = identifier(name)
        made = instant(
            context,
            leg_of(context, self.as_),
            f"{name}/view",
            f"create materialized view {name}, empty",
            (
                sql.SQL("CREATE MATERIALIZED VIEW {} AS\n{}\nWITH NO DATA").format(called, trusted(self.as_)),
                *(self._built(name, index) for index in self.indexes),
                *again.comment(sql.SQL("MATERIALIZED VIEW"), called, self.comment),
            ),
            (sql.SQL("DROP MATERIALIZED VIEW IF EXISTS {}").format(called),),
            f"drop materialized view {name}",
            back_locks=lock(relation(name), "ACCESS EXCLUSIVE"),
        )
        return Compiled(
            steps=(made, self._filled(context, name)) if self.populated else (made,),
            shows=((name, dict(gives)),) if gives is not None else (),
            needs=tuple(needs_of(context, self.as_)),
            hazards=(
                *bypass_hazards(context, name, self.as_, materialized=True),
                *(() if any(index.unique for index in self.indexes) else (no_unique_index(name),)),
            ),
        )

    def _filled(self, context: Context, name: Name) -> Ddl:
        read = [each for each in read_by(context, self.as_) if each in context.catalog.tables]
        return instant(
            context,
            VALIDATE,
            f"{name}/view/fill",
            f"fill materialized view {name}",
            (
                sql.SQL("REFRESH MATERIALIZED VIEW {}").format(identifier(name)),
                sql.SQL("ANALYZE {}").format(identifier(name)),
            ),
            (sql.SQL("REFRESH MATERIALIZED VIEW {} WITH NO DATA").format(identifier(name)),),
            f"empty materialized view {name}",
            locks=tuple(found for each in read for found in lock(relation(each), "ACCESS SHARE")),
            back_locks=lock(relation(name), "ACCESS EXCLUSIVE"),
            scans=True,
        )

    def _built(self, name: Name, index: IndexOfView) -> sql.Composable:
        return sql.SQL("CREATE {}INDEX {} ON {} USING {} ({})").format(
            sql.SQL("UNIQUE " if index.unique else ""),
            sql.Identifier(index.name),
            identifier(name),
            sql.Identifier(index.method),
            names(index.columns),
        )

    def _refuse_unsound(self, context: Context, name: Name, index: IndexOfView, gives: Columns | None) -> None:
        refuse_taken_index(context, name.schema, index.name)
        with context.at("method"):
            context.probe.method(index.method)
        types = dict(gives) if gives is not None else None
        for number, column in enumerate(index.columns if types is not None else ()):
            if types is not None and column not in types:
                near = did_you_mean(column, [*types])
                context.refuse(f"{name} has no column {column}", fix=near, at=("columns", number))
            with context.at("columns", number):
                context.probe.key((types or {})[column], index.method)
