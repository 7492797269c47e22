"""deduplicate_rows: rows that are the same are merged into the one that is kept, with all that points at them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from crossfade.catalog.model import ForeignKey, Index, Name, RowEvent, Table
from crossfade.changes._change import Change, Compiled, Hazard, Mapped
from crossfade.changes._children import unindexed_hazards
from crossfade.changes._context import Context
from crossfade.changes._mapping import checked, checked_over_rows
from crossfade.changes._obstacles import refuse_branched
from crossfade.changes._silence import is_silent, refuse_unchecked
from crossfade.spec.databases import search_path
from crossfade.spec.fragment import Expression
from crossfade.spec.values import Identifier, listed
from crossfade.steps.aside import Aside
from crossfade.steps.duplicates import Duplicates, Pairs
from crossfade.steps.keep_out import KeepOut
from crossfade.steps.merge import Merge
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

    With `set`, the kept row gets what all rows of its set of duplicates say together: a sum of their counters, the
    first phone number there is, the earliest date. They are SQL with aggregates over these rows, the kept one among
    them, which come to `array_agg` and its like in the order of `keep`. A set is then merged as a whole: all its rows
    are locked, FOR UPDATE, then read, and in one transaction the others go and the kept one is written, so that who
    counts over the table sees the same sum before and after. Where somebody holds one of them, the set waits.

    It is done twice: in backfill, and again from where rules bind (`enforce`), for duplicates that came in between.
    With `new_duplicates: keep_out`, a trigger refuses from then on what a unique index would refuse. A unique rule
    written after this change in the same spec is built under it, so that no duplicate can spoil the build; the trigger
    goes in `cutover`.

    ## Old and new versions

    Both see a duplicate go when its batch is done. Until rules bind, both may write new ones. From validate on, or with
    `enforce: contract` from tighten on, a write that brings a duplicate fails with SQLSTATE 23505 and the migration's
    name. Who increments a counter of the kept row meanwhile waits, and adds to the sum; who wants to increment that of
    a row that is gone finds no row.

    ## Undo

    Merged rows come back as they were, deleted children too, and what pointed at them and was not pointed elsewhere
    since points at them again. What was written to the kept row, or made for it, stays with it. One whose key, or what
    else a unique rule allows once, another row bears by then stays put aside; where the rule is partial, or over an
    expression, the undo stops until one of the two is changed.

    Kept rows get the values back that they had before `set`, all of them, where nobody has written one of them since.
    Where somebody has, a new value cannot be told from what the others brought: the row stays as it is, and the
    others come back beside it with theirs. How many rows stay so, or aside, is told, and is in the event `rows not
    known`.

    ## Locks

    - The rows of a batch and what points at them, for about as long as `backfill.target`; who writes the kept row waits
      as long. With `set`, so does who makes something that points at it.
    - SHARE ROW EXCLUSIVE for an instant, where the trigger comes; ACCESS EXCLUSIVE for an instant, where it goes.
    - An index over `by` is built and dropped concurrently, where the table has none that begins with it.
    - A scan that lets reads and writes go on finds the duplicates.

    ## Hazards

    - `merges-rows`: what only the merged rows held, and `set` does not say, is in the archive alone.
    - With `set`, a set of a million rows is one transaction of seconds or minutes, and who writes one of them waits. A
      set whose values the kept row cannot take (too large, against a CHECK) is a conflict: all its rows stay, and the
      phase stops.
    - Refused in `set`: columns of the key, of `by` and `where`, those at which foreign keys point, and those that point
      at rows of the same table.
    - `unindexed-foreign-key`: such a table is read once for every row that goes; create the index first.
    - A child that would break a unique rule of its own is a conflict: with `conflicts: refuse` both stay, as does with
      `set` all of their set, and backfill stops; with `delete` the kept row's child stays.
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
          set:
            visits: sum(visits)
            first_seen: min(first_seen)
            phone: (array_agg(phone ORDER BY updated_at DESC) FILTER (WHERE phone IS NOT NULL))[1]
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
    set: dict[Identifier, Expression] = Field(
        default_factory=dict[str, Expression],
        description="What the kept row gets: for each column, SQL with aggregates over all rows of its set of"
        " duplicates, itself first and the others in the order of `keep`.",
    )
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
        self._check_set(context, table)
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
        hazards = (self._loss(table), *unindexed_hazards(context.catalog, incoming))
        maps = (
            Mapped(table.name, name, tuple(sorted(value.columns(table.name.name))), value.text)
            for name, value in self.set.items()
        )
        kept = ((table.name, tuple(table.by_name)),)
        return Compiled(steps=tuple(steps), hazards=hazards, maps=tuple(maps), keeps=kept)

    def _loss(self, table: Table) -> Hazard:
        gets = f", and gets of the others {', '.join(self.set)}" if self.set else ""
        return Hazard(
            "merges-rows",
            "warning",
            f"of duplicates in {table.name} only what the kept row holds{gets}, stays; the others are put aside, and"
            " gone once the archive is purged",
            "say in `set` what the kept row shall have of them: a sum, the first value there is",
        )

    def _check_set(self, context: Context, table: Table) -> None:
        """Columns that may be set, by values that PostgreSQL takes."""
        asked = (*self.by, *([] if self.where is None else [self.where]))
        telling = {name for value in asked for name in value.columns(table.name.name)}
        keys = context.catalog.references_to(table.name)
        pointed_at = {name for key in keys for name in key.referenced_columns}
        pointing = {name for key in keys if key.child == table.name for name in key.columns}
        for name, value in self.set.items():
            column = context.column(table, name, "set", name)
            refuse = partial(context.refuse, at=("set", name))
            if name in table.key:
                refuse(f"{name} is in the key of {table.name}", why="the key tells which row is kept")
            if column.generated:
                refuse(f"{table.name}.{name} is a generated column", why="it cannot be written")
            if name in telling:
                refuse(
                    f"{name} tells which rows of {table.name} are duplicates, and is set",
                    why="the kept row would not be known as one of its set any more",
                    fix="leave it out; an update_rows above this change may bring it to one spelling",
                )
            if name in pointed_at:
                refuse(
                    f"foreign keys point at {name} of {table.name}",
                    why="rows that pointed at the kept one would point at none",
                    fix="leave it out",
                )
            if name in pointing:
                refuse(
                    f"{name} of {table.name} points at rows of {table.name}",
                    why="the row it would point at may be merged itself; what points there is pointed at the kept one",
                    fix="leave it out",
                )
            checked_over_rows(context, table, value, wanted=column.type, field=f"set of {name}", at=("set", name))

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
        aside = partial(self._aside, context, f"{context.index}/{leg}", leg)
        uniques = {key: tuple(self._uniques(context, key)) for key in incoming}
        writes: list[tuple[Name, str, RowEvent]] = [(table.name, "merged", "delete")]
        for key in incoming:
            writes.append((key.child, "pointed at another", "update"))
            if uniques[key] and self.conflicts == "delete":
                writes.append((key.child, "deleted", "delete"))
        if self.set:
            writes.append((table.name, "set", "update"))
        quiet = self._is_silent(context, table, writes)
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
            pairs=Pairs(of, pairs),
            children=children,
            aside=aside(table),
            combine=self.set,
            keep_for=context.head.contract.keep,
            silent=quiet,
        )

    def _is_silent(self, context: Context, table: Table, writes: list[tuple[Name, str, RowEvent]]) -> bool:
        """writes: each table, with what is done to its rows; all of it in one transaction."""
        catalog = context.catalog
        silent = partial(is_silent, catalog, context.head, where=context.where)
        fires = [
            catalog.fired_by(event, name)[0] for name, done, event in writes if silent(name, done=done, event=event)
        ]
        if fires:
            refuse_unchecked(context, table, self.set, fired=fires[0].name)
        return bool(fires)

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
