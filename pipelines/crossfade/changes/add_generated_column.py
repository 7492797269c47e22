"""add_generated_column: a column that is always made from the row's others, without a rewrite of the table."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from crossfade.catalog.model import Table
from crossfade.changes._change import Change, Compiled, Hazard, Mapped
from crossfade.changes._context import Context
from crossfade.changes._mapping import checked, is_total
from crossfade.changes._obstacles import refuse_branched, refuse_generated, refuse_ruled_domain, rule_name
from crossfade.changes._prepared import prepared_hazard
from crossfade.changes._triggers import refuse_late_triggers
from crossfade.composing import sql
from crossfade.spec.databases import search_path
from crossfade.spec.fragment import Expression, TypeName, trusted
from crossfade.spec.values import Identifier
from crossfade.steps.compose import identifier, lock, relation, text
from crossfade.steps.plpgsql import commented, quoted, settings_of
from crossfade.steps.rows import NewColumn, Pair
from crossfade.steps.step import EXPAND, Ddl, Guard, stage_leg


class AddGeneratedColumn(Change):
    """Add a column whose value always follows from the row's other columns.

    `GENERATED ALWAYS AS (...) STORED`, added to a table with rows, rewrites it while nobody can read it, and
    PostgreSQL makes no generated column out of an ordinary one. So what is added is an ordinary column: filled in
    batches, kept right by a trigger, and from `archive` on by a trigger of its own that stays,
    `zz_<table>_<column>_generated`, with a function in the table's schema, both with a comment that says so. It may be
    indexed, NOT NULL and under rules, as a stored one
    ([decision 15](../decisions/0015-a-generated-column-is-kept-by-a-trigger.md)).

    What differs from a stored one: `pg_dump` and `\\d` show a column and a trigger. Whoever writes another value into
    it is not refused: the trigger writes its own over it.

    A table without rows gets a real stored column. `stored: false` adds a `VIRTUAL` one, computed when it is read, in
    the catalog alone (PostgreSQL 18); PostgreSQL builds no index over it.

    The expression sees time zone UTC and ISO dates, whatever the session is set to.

    ## Old and new versions

    The old version never sees it. The new one may read it when backfill has ended; neither writes it. A row for which
    the expression fails is a conflict until contract and fails no statement; from `archive` on such a write is refused,
    as PostgreSQL refuses one with a generated column.

    ## Undo

    Drops the column and the trigger, at any time: nothing is lost that is not in the others.

    ## Locks

    ACCESS EXCLUSIVE on the table for an instant, in expand, at `retire` and `archive`; SHARE ROW EXCLUSIVE for an
    instant for the triggers. The backfill takes ROW EXCLUSIVE.

    ## Hazards

    `kept-by-trigger`: what the column is in the end. A trigger of the table's that fires later and assigns what the
    expression reads is refused with its new name; so is an expression with a sub-select, or whose value is another one
    at another time. Statements prepared as `SELECT *` are refused once after expand and `archive`.

    ## Example

    ```yaml
    changes:
      - add_generated_column:
          table: orders
          column: total
          type: numeric(12,2)
          expression: quantity * unit_price
          nullable: false
    ```
    """

    table: Identifier = Field(description="The table, or `schema.table`.")
    column: Identifier = Field(description="The column's name.")
    type: Annotated[TypeName, Field(min_length=1, examples=["numeric(12,2)"])] = Field(description="Its type.")
    expression: Expression = Field(description="SQL over the row that gives its value.")
    stored: bool = Field(True, description="`false`: computed when it is read, which needs PostgreSQL 18.")
    nullable: bool = Field(True, description="Whether the expression may give NULL.")
    comment: str | None = Field(None, description="Its comment.")

    def compile(self, context: Context) -> Compiled:
        """By the catalog alone where that will do, else a pair of its own and a trigger that stays."""
        table = context.table(self.table)
        refuse_branched(context, table)
        if self.column in context.new_row_types(table):
            context.refuse(f"column {self.column} exists already in {table.name}", at=("column",))
        with context.at("type"):
            wanted = context.probe.type(self.type)
            refuse_ruled_domain(context, wanted)
        self._refuse_unfit(context, table, wanted)
        if not self.stored:
            return self._virtual(context, table, wanted)
        if table.blocks == 0:
            return self._generated(context, table, wanted, "STORED", _is_empty(table))
        read = frozenset(self.expression.columns(table.name.name))
        refuse_late_triggers(context, table, read)
        self._refuse_taken(context, table)
        new = NewColumn(name=self.column, type=wanted, not_null=not self.nullable, comment=self.comment)
        pair = Pair(
            title=f"{table.name}.{self.column}",
            old=(),
            new=(new,),
            up={self.column: self.expression},
            total=is_total(self.expression, context.row_types(table), wanted),
        )
        kept = Hazard(
            "kept-by-trigger",
            "note",
            f"{table.name}.{self.column} stays an ordinary column, kept right by trigger {self._trigger(table)}:"
            " PostgreSQL would rewrite the table for one GENERATED ... STORED while nobody can read it",
            "on PostgreSQL 18, `stored: false` where it need not be indexed",
        )
        return Compiled(
            steps=(self._lasting(context, table),),
            pairs=((table.name, pair),),
            hazards=(kept, prepared_hazard(table, "note", "after expand and archive")),
            maps=(self._mapped(table),),
        )

    def _refuse_unfit(self, context: Context, table: Table, wanted: str) -> None:
        """What follows from more than the row."""
        field, row = "expression", context.row_types(table)
        facts = checked(context, table, self.expression, row=row, wanted=wanted, field=field)
        refuse_generated(context, table, self.expression.columns(table.name.name), field)
        with context.at(field):
            if "SubLink" in self.expression.nodes:
                context.refuse(
                    f"{field} has a sub-select",
                    why="nothing would keep the column right when the rows of the other table change",
                    fix="add_column with `up`, for a value that is made once",
                )
            if not facts.repeatable:
                context.refuse(
                    f"{field} gives another value at another time",
                    why="a generated column follows from the row alone",
                    fix="add_column with `default`, for a value that is given once",
                )

    def _virtual(self, context: Context, table: Table, wanted: str) -> Compiled:
        version = context.catalog.server.version // 10000
        if version < 18:
            context.refuse(
                f"`stored: false` needs PostgreSQL 18, and {context.database} runs {version}",
                fix="leave it out: the column is filled beside live traffic then",
                at=("stored",),
            )
        if not self.nullable:
            context.refuse(
                f"{table.name}.{self.column} is to be NOT NULL, and virtual",
                why="PostgreSQL would compute it for every row while nobody can read the table",
                fix="leave `nullable` or `stored` out",
                at=("nullable",),
            )
        return self._generated(context, table, wanted, "VIRTUAL", ())

    def _generated(self, context: Context, table: Table, wanted: str, how: str, guards: tuple[Guard, ...]) -> Compiled:
        target, column = identifier(table.name), sql.Identifier(self.column)
        required = "" if self.nullable else " NOT NULL"
        value = self.expression.render(table.name.name, None)
        statements = [
            sql.SQL("ALTER TABLE {} ADD COLUMN {} {} GENERATED ALWAYS AS {} {}").format(
                target, column, trusted(wanted), value, trusted(how + required)
            )
        ]
        if self.comment is not None:
            named = sql.Identifier(table.name.schema, table.name.name, self.column)
            statements.append(sql.SQL("COMMENT ON COLUMN {} IS {}").format(named, sql.Literal(self.comment)))
        step_id = f"{table.name}/{self.column}/generated"
        added = Ddl(
            id=step_id,
            leg=EXPAND,
            database=context.database,
            title=f"add generated column {self.column} to {table.name}",
            locks=lock(relation(table.name), "ACCESS EXCLUSIVE"),
            statements=text(*statements),
            guards=guards,
            undo=(
                Ddl(
                    id=f"{step_id}/undo",
                    leg=EXPAND,
                    database=context.database,
                    title=f"drop column {self.column} of {table.name}",
                    locks=lock(relation(table.name), "ACCESS EXCLUSIVE"),
                    statements=text(sql.SQL("ALTER TABLE {} DROP COLUMN IF EXISTS {}").format(target, column)),
                ),
            ),
            undo_title="drop the column",
        )
        return Compiled(
            steps=(added,),
            adds=((table.name, self.column, wanted),),
            hazards=(prepared_hazard(table, "note", "after expand"),),
            maps=(self._mapped(table),),
        )

    def _lasting(self, context: Context, table: Table) -> Ddl:
        """The trigger that takes over when the migration's own goes, in the same leg and before it."""
        target, trigger = identifier(table.name), sql.Identifier(self._trigger(table))
        function = sql.Identifier(table.name.schema, self._function(table))
        body = sql.SQL(
            "\n-- {} follows from the row's other columns.\nBEGIN\n  new.{} := {};\n  RETURN new;\nEND\n"
        ).format(
            trusted(commented(f"{table.name}.{self.column}")),
            sql.Identifier(self.column),
            self.expression.render(table.name.name, "new"),
        )
        comment = sql.Literal(
            f"Keeps {table.name}.{self.column} as its expression says; made by migration {context.migration}"
        )
        leg, step_id = stage_leg("archive"), f"{table.name}/{self.column}/lasting"
        return Ddl(
            id=step_id,
            leg=leg,
            database=context.database,
            title=f"keep {table.name}.{self.column} right by a trigger that stays",
            locks=lock(relation(table.name), "SHARE ROW EXCLUSIVE"),
            statements=text(
                sql.SQL("CREATE OR REPLACE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql {} AS {}").format(
                    function, settings_of(search_path(context.schema)), quoted(body)
                ),
                sql.SQL("COMMENT ON FUNCTION {}() IS {}").format(function, comment),
                sql.SQL(
                    "CREATE OR REPLACE TRIGGER {} BEFORE INSERT OR UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION {}()"
                ).format(trigger, target, function),
                sql.SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}").format(target, trigger),
                sql.SQL("COMMENT ON TRIGGER {} ON {} IS {}").format(trigger, target, comment),
            ),
            undo=(
                Ddl(
                    id=f"{step_id}/undo",
                    leg=leg,
                    database=context.database,
                    title=f"drop the trigger that keeps {table.name}.{self.column} right",
                    locks=lock(relation(table.name), "ACCESS EXCLUSIVE"),
                    statements=text(
                        sql.SQL("DROP TRIGGER IF EXISTS {} ON {}").format(trigger, target),
                        sql.SQL("DROP FUNCTION IF EXISTS {}()").format(function),
                    ),
                ),
            ),
            undo_title="drop the trigger",
        )

    def _refuse_taken(self, context: Context, table: Table) -> None:
        """CREATE OR REPLACE, so that a run that was cut off goes on, must not replace what is somebody's."""
        function = f"{table.name.schema}.{self._function(table)}()"
        taken = [function] if function in context.catalog.functions else []
        taken += [t.name for t in table.user_triggers if t.name == self._trigger(table)]
        if taken:
            context.refuse(f"{taken[0]} exists already", why="it is what would keep the column right", fix="rename it")

    def _trigger(self, table: Table) -> str:
        """Fires last, as PostgreSQL computes a generated column after all BEFORE triggers."""
        return "zz_" + rule_name(table.name.name, self.column, "generated")[:60]

    def _function(self, table: Table) -> str:
        return rule_name(table.name.name, self.column, "generated")

    def _mapped(self, table: Table) -> Mapped:
        sources = tuple(sorted(self.expression.columns(table.name.name)))
        return Mapped(table.name, self.column, sources, self.expression.text)


def _is_empty(table: Table) -> tuple[Guard, ...]:
    """Rows that came since the plan was made would be rewritten."""
    query = sql.SQL("SELECT NOT EXISTS (SELECT FROM {})").format(identifier(table.name)).as_string(None)
    return (Guard(query=query, refusal=f"{table.name} has rows by now: plan the migration again"),)
