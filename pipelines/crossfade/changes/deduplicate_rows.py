"""deduplicate_rows: rows that are the same are merged into the one that is kept, with all that points at them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from crossfade.catalog.model import ForeignKey, Index, Table
from crossfade.changes._change import Change, Compiled, Hazard
from crossfade.changes._children import unindexed_hazards
from crossfade.changes._context import Context
from crossfade.changes._mapping import checked
from crossfade.changes._obstacles import refuse_branched
from crossfade.changes._silence import is_silent
from crossfade.spec.databases import search_path
from crossfade.spec.fragment import Expression
from crossfade.spec.values import Identifier, listed
from crossfade.steps.aside import Aside
from crossfade.steps.keep_out import KeepOut
from crossfade.steps.merge import Duplicates, Merge
from crossfade.steps.names import own_name
from crossfade.steps.repoint import Repointing
from crossfade.steps.step import BACKFILL, AnyStep, Leg

_DIRECTION = re.compile(r"(?i)(\s+(ASC|DESC))?(\s+NULLS\s+(FIRST|LAST))?\s*$")


def _split(text: str) -> tuple[Expression, str]:
    """A part of ORDER BY as its value and its direction."""
    found = _DIRECTION.search(text)
    assert found is not None
    return Expression(text[: found.start()]), " ".join(found.group().upper().split())


def _checked(text: str) -> str:
    _split(text)
    return text


Ordering = Annotated[str, AfterValidator(_checked), Field(examples=["updated_at DESC NULLS LAST"])]


class DeduplicateRows(Change):
    """Merge rows that are the same into the one that is kept, with all that points at them.

    Rows for which everything in `by` is equal are duplicates; NULL equals nothing. The first in the order of `keep` is
    kept. What points at the others, by whatever foreign key, is pointed at the kept row; then they are deleted, and put
    aside in the schema `crossfade`. A batch does both, so that nobody sees half of a merge, unless more than 5,000
    rows point at its rows. A row that was changed meanwhile and is a duplicate no longer is left alone.

    It is done twice: in backfill, and again from where rules bind (`enforce`), for duplicates that came in between.
    With `new_duplicates: keep_out`, a trigger refuses from then on what a unique index would refuse. A unique rule
    written after this change in the same spec is built under it, so that no duplicate can spoil the build; the trigger
    goes in `cutover`.

    ## Old and new versions

    Both see a duplicate go when its batch is done. Until rules bind, both may write new ones. From validate on, or with
    `enforce: contract` from tighten on, a write that brings a duplicate fails with SQLSTATE 23505 and the migration's
    name.

    ## Undo

    Merged rows come back as they were, deleted children too, and what pointed at them and was not pointed elsewhere
    since points at them again. What was written to the kept row, or made for it, stays with it.

    ## Locks

    - The rows of a batch and what points at them, for about as long as `backfill.target`; who writes the kept row waits
      as long.
    - SHARE ROW EXCLUSIVE for an instant, where the trigger comes; ACCESS EXCLUSIVE for an instant, where it goes.
    - An index over `by` is built and dropped concurrently, where the table has none that begins with it.
    - A scan that lets reads and writes go on finds the duplicates.

    ## Hazards

    - `merges-rows`: what only the merged rows held (their other columns) is in the archive alone. What the kept row
      shall have of it, an [update_rows](update_rows.md) above it says: `group_by: email`, `set: {visits: sum(visits)
      OVER ()}`.
    - `unindexed-foreign-key`: such a table is read once for every row that goes; create the index first.
    - A child that would break a unique rule of its own is a conflict: with `conflicts: refuse` both stay and backfill
      stops, with `delete` the kept row's child stays.
    - Refused: a child without a key; one with a partial unique index, or one over an expression, that holds the foreign
      key; `conflicts: delete` where other rows point at such a child in turn.
    - On a partitioned table `keep_out` needs an index that begins with `by`, for none can be built concurrently.
    - A transaction of REPEATABLE READ does not see what came since it began, so that its duplicate is not kept out; the
      unique build finds it then, and what to do.

    ## Example

    ```yaml
    changes:
      - deduplicate_rows:
          table: users
          by: [lower(email)]
          keep: [updated_at DESC NULLS LAST, id]
          conflicts: delete
      - create_index:
          table: users
          name: users_email
          columns: [{expression: lower(email)}]
          unique: true
    ```
    """

    table: Identifier = Field(description="The table; it needs a primary key, or a unique index over NOT NULL columns.")
    by: Annotated[tuple[Expression, ...], Field(min_length=1)] = Field(
        description="SQL over the row: rows for which all of them are equal are duplicates."
    )
    keep: Annotated[tuple[Ordering, ...], BeforeValidator(listed, json_schema_input_type=str | list[str])] = Field(
        (), description="ORDER BY: the first of the duplicates is kept; then by the key."
    )
    where: Expression | None = Field(None, description="SQL over the row: which rows count; without it all.")
    conflicts: Literal["refuse", "delete"] = Field(
        "refuse",
        description="What becomes of a row that points at a duplicate, where the kept row has its like by a unique rule"
        " of that table: `refuse`: both stay, and the phase stops. `delete`: it is put aside and deleted.",
    )
    new_duplicates: Literal["keep_out", "merge"] = Field(
        "keep_out",
        description="Those that are written once rules bind: `keep_out`: refused until contract. `merge`: taken, and"
        " those that came before it are merged.",
    )

    def compile(self, context: Context) -> Compiled:
        """A merge in backfill, and one where rules bind, behind the trigger."""
        table = context.table(self.table)
        if table.partition_of is None:
            refuse_branched(context, table)
        if not table.key:
            context.refuse(
                f"{table.name} has no primary key or unique NOT NULL index",
                why="nothing would tell the kept row from the others",
                fix="give the table a key first",
            )
        duplicates = self._duplicates(context, table)
        incoming = context.catalog.references_to(table.name)
        keep_out = self._keep_out(context, duplicates)
        lifted = () if keep_out is None else (keep_out.lift(f"{table.name}/deduplicate/{context.index}/lift"),)
        steps: list[AnyStep] = [*self._merge(context, duplicates, incoming, BACKFILL).steps()]
        if keep_out is not None:
            steps += keep_out.begin()
        second = self._merge(context, duplicates, incoming, context.rules_leg)
        steps += replace(second, free=lifted).steps()
        if keep_out is not None:
            steps += keep_out.end()
        hazard = Hazard(
            "merges-rows",
            "warning",
            f"of duplicates in {table.name} only what the kept row holds stays; the others are put aside, and gone once"
            " the archive is purged",
            "take over what matters with an update_rows that stands above it, by `group_by`: a sum, the first value",
        )
        return Compiled(steps=tuple(steps), hazards=(hazard, *unindexed_hazards(context.catalog, incoming)))

    def _duplicates(self, context: Context, table: Table) -> Duplicates:
        row = context.row_types(table)
        by: list[tuple[Expression, str]] = []
        for index, value in enumerate(self.by):
            by.append((value, self._type(context, table, value, ("by", index))))
            with context.at("by", index):
                context.probe.key(by[-1][1])
                context.probe.key(by[-1][1], "hash")
        order = [_split(text) for text in self.keep]
        for index, (value, _) in enumerate(order):
            type_ = self._type(context, table, value, ("keep", index))
            with context.at("keep", index):
                context.probe.key(type_)
        if self.where is not None:
            checked(context, table, self.where, row=row, wanted="boolean", field="where")
        return Duplicates(table, tuple(by), tuple(order), self.where)

    def _type(self, context: Context, table: Table, value: Expression, at: tuple[str | int, ...]) -> str:
        """Of a value that is the same each time it is asked of a row."""
        row = context.row_types(table)
        with context.at(*at):
            facts = context.probe.expression(value, table=table.name.name, row=row)
            checked(context, table, value, row=row, wanted=facts.type, field=str(at[0]), at=at)
            if not facts.repeatable or "SubLink" in value.nodes:
                context.refuse(
                    f"`{value}` may give another value for the same row",
                    why="rows are compared again and again until they are merged",
                    fix="use immutable functions of the row's own columns only",
                )
        return facts.type

    def _merge(self, context: Context, of: Duplicates, incoming: tuple[ForeignKey, ...], leg: Leg) -> Merge:
        table, tables = of.table, context.catalog.tables
        merge_id = f"{table.name}/deduplicate/{context.index}/{leg}"
        pairs = own_name(context.migration, "pairs", merge_id, table.name.name)
        silent = partial(is_silent, context.catalog, context.head, where=context.where)
        aside = partial(self._aside, context, f"{context.index}/{leg}", leg)
        uniques = {key: tuple(self._uniques(context, key)) for key in incoming}
        quiet = silent(table.name, done="merged", event="delete")
        for key in incoming:
            quiet |= silent(key.child, done="pointed at another", event="update")
            if uniques[key] and self.conflicts == "delete":
                quiet |= silent(key.child, done="deleted", event="delete")
        children = tuple(
            Repointing(
                id=merge_id,
                migration=context.migration,
                database=context.database,
                leg=leg,
                key=key,
                child=tables[key.child],
                parent=table,
                uniques=uniques[key],
                aside=aside(tables[key.child]) if uniques[key] and self.conflicts == "delete" else None,
                keep_for=context.head.contract.keep,
                silent=quiet,
            )
            for key in incoming
        )
        return Merge(
            id=merge_id,
            migration=context.migration,
            database=context.database,
            leg=leg,
            of=of,
            pairs=pairs,
            children=children,
            aside=aside(table),
            keep_for=context.head.contract.keep,
            silent=quiet,
        )

    def _aside(self, context: Context, subject: str, leg: Leg, table: Table) -> Aside:
        return Aside(
            migration=context.migration,
            database=context.database,
            table=table,
            parents=context.catalog.references_from(table.name),
            subject=subject,
            leg=leg,
            keep=context.head.contract.keep,
            silent=is_silent(
                context.catalog,
                context.head,
                table.name,
                where=context.where,
                done="brought back by an undo",
                event="insert",
            ),
        )

    def _uniques(self, context: Context, key: ForeignKey) -> Iterator[tuple[str, ...]]:
        """The child's own unique keys that hold a column of the foreign key."""
        child = context.catalog.tables[key.child]
        if not child.key:
            context.refuse(
                f"{child.name} has no primary key or unique NOT NULL index, and points at {key.parent} by {key.name}",
                why="its rows could not be pointed back",
                fix="give it a key first",
            )
        found: list[Index] = []
        for index in child.indexes:
            if not index.unique or index.reads.isdisjoint(key.columns):
                continue
            found.append(index)
            if index.predicate is not None or "" in index.columns:
                context.refuse(
                    f"unique index {index.name} of {child.name} holds {', '.join(key.columns)}, and is partial or over"
                    " an expression",
                    why=f"whether two rows may point at one row of {key.parent} could not be told before it is tried",
                    fix="drop the index before, with a migration of its own, and create it again after",
                )
            yield index.columns
        onward = context.catalog.references_to(child.name)
        if found and self.conflicts == "delete" and onward:
            context.refuse(
                f"rows of {onward[0].child} point at rows of {child.name} that may have to be deleted",
                why=f"two rows of {child.name} may not point at the same row of {key.parent}",
                fix=f"make {child.name} free of such rows with a deduplicate_rows of its own before",
                at=("conflicts",),
            )

    def _keep_out(self, context: Context, of: Duplicates) -> KeepOut | None:
        if self.new_duplicates == "merge":
            return None
        table = of.table
        columns = [value.is_column for value, _ in of.by]
        indexed = any(
            index.valid and index.predicate is None and list(index.columns[: len(columns)]) == columns
            for index in table.indexes
        )
        if table.kind == "partitioned" and not indexed:
            context.refuse(
                f"{table.name} is partitioned, and no index of it begins with what `by` says",
                why="each write would read the whole table to find a duplicate, and PostgreSQL builds no index on a"
                " partitioned table concurrently",
                fix="create such an index before; or say `new_duplicates: merge`",
                at=("new_duplicates",),
            )
        return KeepOut(
            id=f"{table.name}/deduplicate/{context.index}",
            migration=context.migration,
            database=context.database,
            leg=context.rules_leg,
            of=of,
            indexed=indexed,
            search_path=search_path(context.schema),
        )
