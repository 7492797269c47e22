"""change_column: what a column is, several things at once: its type, rules, default, identity, name and others."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, NoReturn

from pydantic import Field

from crossfade.catalog.model import Column, Table
from crossfade.changes._beside import Beside
from crossfade.changes._change import Change, Compiled, Hazard, Refused
from crossfade.changes._context import Context
from crossfade.changes._in_place import InPlace, collated, column_collation, comes_back_alone
from crossfade.changes._mapping import checked
from crossfade.changes._obstacles import refuse_taken_name
from crossfade.changes._target import Target
from crossfade.changes._types import catalog_only, crosses_zones, keeps_order
from crossfade.spec.fragment import Expression
from crossfade.spec.values import Identifier
from crossfade.steps import carry
from crossfade.steps.step import Leg, stage_leg


class ChangeColumn(Change):
    """Change the type, rules, default, identity, collation, comment or name of a column, several at once.

    What PostgreSQL does in the catalog alone, and takes back in the catalog alone, is done in place: `varchar`
    without a length to `text`, either to a domain without rules, `timestamp` to `timestamptz` (the times are taken as
    UTC) where no index is over it, another collation where no index is over it, and all that is no type. A new
    default and a new type come in the stage `cutover`, new rules where `enforce` says.

    A wider `varchar(n)` or `bit varying(n)`, `varchar(n)` to `text`, more digits of a `numeric` at the same scale or of
    a second, `cidr` to `inet`, `xml` to `text`, and a domain with rules to the type it is over are done in the
    catalog alone too, but to take them back PostgreSQL rewrites the table while nobody can read it. They are copied
    like any other type, unless `strategy: in_place` says that they shall be done at once and, from `cutover` on,
    for good ([decision 12](../decisions/0012-what-cannot-come-back-in-the-catalog-is-copied.md)).

    Where values change (another type, or `up` or `down` is given), a new column is filled beside the old one and names
    are swapped at `cutover`. Indexes, unique constraints, checks and foreign keys of the column are built for the new
    one first. Its statistics target and options stay; its storage and compression do where the type stays or both are
    texts. Views that read it, views over these, rules, policies, triggers, extended statistics (sampled again after
    that), virtual generated columns (PostgreSQL 18) and materialized views that hold no rows are made again over the
    new one in the transaction of `cutover`, and over the old one when that is undone. In `up`, the column's name means
    the old value; in `down`, the new one. The default goes over where the new type takes it; `'new'::text` becomes the
    enum's `'new'`.

    With `strategy: versions` each version of the application works with the column as it knows it, from expand to
    `retire`: by views in a schema of its own, which its `search_path` names ([versions](../versions.md)).

    `to: {name: ...}` gives the new column another name: a flag `deleted` becomes a time `deleted_at`. Then `down` names
    the column as it is called afterwards, and each version has its own from expand on.

    `references` adds a foreign key, bound NOT VALID and then proved, as `add_constraint` does; beside another type it
    refers from the new column. `identity` makes the server number the rows: a column with a sequence of its own
    (`serial`) counts on under its name and for its grantees, some thousand numbers further, so that none comes twice
    while it changes hands; one without from past the highest value, which an index must tell. That is done at `cutover`
    in the catalog alone, of a column that is NOT NULL and keeps its type.

    `check: null` lets the checks of the column alone go: those that only made sense of the old type, such as
    `status IN ('new', 'done')` where the new one is an enum. Until `cutover` they bind what both versions write.

    ## Old and new versions

    Until `cutover` both versions read and write the column as it was; from then on as it shall be. Until `archive`
    the old column follows under a hidden name. With `strategy: versions` that is so for whoever names no schema of
    views; with one, the new version has its column from expand on, and the old one its own until `retire`.
    Under another name the old version uses the old column until `retire`, and the new version the new one from
    expand on. A value that is too long for a type is a conflict and is never cut off.

    ## Undo

    Turns the names back, at once; after `archive` from the archive. A column that may be NULL from expand on is
    made NOT NULL again without a scan that holds anybody up; while rows have no value the rollback is refused with
    their count, before anything is taken back.

    ## Locks

    ACCESS EXCLUSIVE on the table for an instant, in expand, at `cutover`, `archive` and `drop`; at `cutover` also on
    the views that read the column, on tables whose policies do, and on the
    parent of a foreign key whose column changes its type in the catalog alone. `references`: SHARE ROW EXCLUSIVE on
    both tables for an instant, then a scan that lets reads and writes go on.

    ## Hazards

    After `cutover` the column stands last in the table. Statements prepared as `SELECT *` are refused once after
    expand, `cutover` and `drop`. A materialized view that holds rows and reads the column is refused, since to fill
    it again at `cutover` would keep everybody waiting: drop it in a migration before this one and create it again in
    one after. So is a stored generated column that is computed from it. What depends on the column and cannot be
    carried over is refused by name when planned. `identity-refuses`: where it is generated `always`, a statement that
    names a value fails from `cutover` on. `identity-counts-anew`: `currval()` of the sequence fails in sessions that
    drew from it before `cutover`, until they draw again. `taken-as-utc`: a time without a zone is taken for one in
    UTC where no `up` says otherwise.

    ## Example

    ```yaml
    changes:
      - change_column:
          table: flights
          column: departs
          to: {type: timestamptz, nullable: false}
          up: departs::timestamptz
          down: to_char(departs AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
    ```
    """

    table: Identifier = Field(description="The table, or `schema.table`.")
    column: Identifier = Field(description="The column; it keeps its name.")
    to: Target = Field(description="What it shall be; what is not named stays.")
    up: Expression | None = Field(
        None, description="SQL over the old row that gives the new value; without it a cast that cuts nothing off."
    )
    down: Expression | None = Field(
        None, description="SQL over the new row that gives the old value; without it the same."
    )
    strategy: Literal["swap", "versions", "in_place"] = Field(
        "swap",
        description="`versions`: each version of the application sees a column of its own, by a schema of views that"
        " its search_path names. `in_place`: widen a type in the catalog alone, also where that cannot be taken back.",
    )
    enforce: Literal["validate", "contract"] | None = Field(
        None,
        description="From when new rules bind old writers, when not as the migration says; refused without a rule.",
    )

    def compile(self, context: Context) -> Compiled:
        """In place where no value changes, else a pair that swaps names."""
        table = context.table(self.table)
        column = context.column(table, self.column, "column")
        with context.at("to", "type"):
            wanted = context.probe.type(self.to.type) if self.to.type is not None else column.type
        rules_leg = {"validate": Leg(phase="validate"), "contract": stage_leg("tighten"), None: context.rules_leg}[
            self.enforce
        ]
        self._refuse_misfit(context, table, wanted)
        renames = self.to.name not in (None, self.column)
        if renames and self.strategy == "versions":
            context.refuse(
                "`strategy: versions` of a column that gets another name",
                why="each version finds its own column by its name, without a schema of views",
                fix="leave `strategy` out",
                at=("strategy",),
            )
        collation = collated(context, column, self.to, wanted)
        recollated = self.to.collation is not None and collation != column_collation(column)
        retyped = wanted != column.type
        free = not retyped or catalog_only(column.type, wanted, context.catalog.domains)
        reader = self._reader(context, table, wanted, recollated) if retyped or recollated else None
        in_place = self.up is None and self.down is None and not renames
        if self.strategy == "versions":
            in_place = False
        if self.strategy == "in_place" and not (in_place and free and reader is None):
            self._refuse_in_place(context, table, column, wanted, reader if free else None)
        if (
            in_place
            and free
            and reader is None
            and (self.strategy == "in_place" or comes_back_alone(context, column, wanted))
        ):
            self._refuse_idle_enforce(context, binds=self.to.nullable is False and not column.not_null, table=table)
            if retyped and self.to.references is not None:
                context.refuse(
                    f"`references` beside a type that is changed in the catalog alone, of {table.name}.{self.column}",
                    why="the rows are proved before the type is changed, and PostgreSQL may scan them again then",
                    fix="add the foreign key in a migration that comes after",
                    at=("to", "references"),
                )
            return self._told(
                InPlace(context, table, column, self.to, wanted, rules_leg).compile(), context, column, wanted
            )
        if self.to.identity is not None:
            context.refuse(
                f"`identity` of {table.name}.{self.column}, beside which a new column is filled",
                why="the sequence would have to count for two columns until `cutover`",
                fix="make it one in a migration of its own; `widen_key` makes a key bigint and keeps its identity",
                at=("to", "identity"),
            )
        held = frozenset({self.column})
        carried = any(index.unique for index in carry.indexes_reading(table, held))
        carried = carried or bool(carry.constraints_reading(table, held))
        not_null = column.not_null if self.to.nullable is None else not self.to.nullable
        self._refuse_idle_enforce(context, binds=not_null or carried, table=table)
        beside = Beside(context, table, column, self.to, wanted, rules_leg, self.up, self.down)
        if not (in_place and free and reader is None):
            versions = (table.name,) if self.strategy == "versions" else ()
            return self._told(replace(beside.compile(), versions=versions), context, column, wanted)
        try:
            swapped = beside.compile()
        except Refused as refused:
            instead = "say `strategy: in_place` to widen it in the catalog alone, which cannot be taken back"
            raise Refused.of(
                replace(problem, fix="; or ".join(filter(None, (problem.fix, instead)))) for problem in refused.problems
            ) from None
        copied = replace(swapped, hazards=(*swapped.hazards, _copied_to_come_back(table, column, wanted)))
        return self._told(copied, context, column, wanted)

    def _refuse_misfit(self, context: Context, table: Table, wanted: str) -> None:
        """A rule, or a default, that the column as it shall be could not have."""
        to, name = self.to, self.to.name or self.column
        wants_unique = to.wants_unique(table, self.column)
        rules = (
            (to.check, to.check_name(table, name)),
            (wants_unique, to.key_name(table, name)),
            (to.references, to.foreign_key_name(table, name)),
        )
        for wished, rule in rules:
            if wished and rule not in to.dropped_checks(table, self.column):
                refuse_taken_name(context, table, rule)
        if wants_unique:
            with context.at("to", "unique"):
                context.probe.key(wanted)
        if to.check is not None:
            row = {old: type_ for old, type_ in context.row_types(table).items() if old != self.column} | {name: wanted}
            checked(context, table, to.check, row=row, wanted="boolean", field="check", at=("to", "check"))
        if to.names_default and table.by_name[self.column].generated:
            context.refuse(
                f"{table.name}.{self.column} is a generated column",
                why="it has its expression in place of a default",
                fix="leave `default` out",
                at=("to", "default"),
            )
        if to.default is not None:
            checked(context, table, to.default, row={}, wanted=wanted, field="default", at=("to", "default"))

    def _reader(self, context: Context, table: Table, wanted: str, recollated: bool) -> str | None:
        """What PostgreSQL would verify or build again under the strongest lock, where its rows can stay as they are."""
        column, dropped = self.column, self.to.dropped_checks(table, self.column)
        for part in context.catalog.tree(table.name):
            alike = not recollated and keeps_order(part.by_name[column].type, wanted, context.catalog.domains)
            for found in part.constraints:
                reads = column in found.columns and found.name not in dropped
                if reads and (found.kind == "check" or (found.kind == "foreign_key" and not alike)):
                    return f"{found.kind.replace('_', ' ')} {found.name}"
            for index in part.indexes:
                plain = index.predicate is None and "" not in index.columns
                if column in index.reads and not (alike and plain):
                    return f"index {index.name}"
        return None

    def _told(self, compiled: Compiled, context: Context, column: Column, wanted: str) -> Compiled:
        """With a word on what a time without a zone is taken for."""
        if self.up is not None or not crosses_zones(column.type, wanted):
            return compiled
        zone = context.catalog.server.timezone
        utc = Hazard(
            "taken-as-utc",
            "note" if zone in ("UTC", "Etc/UTC", "GMT") else "warning",
            f"{self.column} is taken for a time in UTC, whatever the sessions of applications are set to (a new one is"
            f" set to {zone} here)",
            f"where it is another zone's, say so: `up: {self.column} AT TIME ZONE 'Europe/Oslo'`, and `down` alike",
        )
        return replace(compiled, hazards=(*compiled.hazards, utc))

    def _refuse_idle_enforce(self, context: Context, *, binds: bool, table: Table) -> None:
        """`enforce` where no rule is new: its author thinks that there is one."""
        if (
            self.enforce is not None
            and not binds
            and self.to.check is None
            and self.to.references is None
            and not self.to.wants_unique(table, self.column)
        ):
            context.refuse(
                f"`enforce: {self.enforce}` on {table.name}.{self.column}, which gets no new rule",
                why="it says from when a new NOT NULL, check or unique rule or foreign key binds old writers",
                fix="delete `enforce`, or say the rule under `to`",
                at=("enforce",),
            )

    def _refuse_in_place(
        self, context: Context, table: Table, column: Column, wanted: str, reader: str | None
    ) -> NoReturn:
        """reader: what stands in the way where the type does not."""
        if self.up is not None or self.down is not None:
            why = "`up` and `down` give other values, which a column beside the old one must hold"
        elif self.to.name not in (None, self.column):
            why = "under its new name it is another column, beside the old one, so that both versions find theirs"
        elif reader is not None:
            why = f"{reader} reads it: PostgreSQL would verify it or build it again while nobody can read the table"
        else:
            why = f"PostgreSQL rewrites the table from {column.type} to {wanted} while nobody can read it"
        what = f"{table.name}.{self.column} cannot be changed in place"
        context.refuse(what, why=why, fix="leave `strategy` out", at=("strategy",))


def _copied_to_come_back(table: Table, column: Column, wanted: str) -> Hazard:
    return Hazard(
        "copied-to-come-back",
        "note",
        f"PostgreSQL could make {table.name}.{column.name} {wanted} at once, and would rewrite the table under ACCESS"
        " EXCLUSIVE to take that back: so its values are copied beside it",
        "where it shall never be taken back, say `strategy: in_place`",
    )
