"""create_trigger: a function of yours that runs with every write."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from crossfade.catalog.model import OWN_PREFIX, Table
from crossfade.changes._change import Change, Compiled, Hazard, Need
from crossfade.changes._context import Context
from crossfade.changes._instant import instant
from crossfade.changes._stand_ins import condition_over_stand_ins
from crossfade.composing import sql
from crossfade.spec.fragment import Expression, trusted
from crossfade.spec.values import Identifier
from crossfade.steps import again
from crossfade.steps.compose import identifier, lock, names, relation
from crossfade.steps.step import EXPAND

Event = Literal["insert", "update", "delete", "truncate"]


class CreateTrigger(Change):
    """Create a trigger.

    It fires from expand on, for the writes of both versions; for rows that crossfade fills only where the migration
    says `fire_triggers: true`.

    ## Old and new versions

    Both fire it from expand on: its function must bear what each of them writes.

    ## Undo

    Drops the trigger.

    ## Locks

    SHARE ROW EXCLUSIVE on the table for an instant, under which nobody writes; ACCESS EXCLUSIVE for an instant to undo.

    ## Hazards

    The plan says that both versions fire it (`trigger-for-both`). Triggers fire in order of their names: one that is to
    run BEFORE and whose name sorts after `_cf_`, as all lower-case names do, writes what the sync of another column
    cannot see (`late-trigger`); a migration of a column that it assigns is refused later. A table, column or function
    that is not there is refused, and a `when` that PostgreSQL does not understand.

    ## Example

    ```yaml
    changes:
      - create_function:
          definition: |
            CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS
              $$ BEGIN NEW.updated_at := now(); RETURN NEW; END $$
      - create_trigger: {table: users, name: A_touch, before: [update], function: touch}
    ```
    """

    table: Identifier = Field(description="The table, or `schema.table`.")
    name: Identifier = Field(description="Its name; of triggers for one event, the first by name fires first.")
    function: Identifier = Field(description="The function that it runs, without arguments' types; or `schema.name`.")
    before: tuple[Event, ...] = Field((), description="Events before which it runs.")
    after: tuple[Event, ...] = Field(
        (), description="Events after which it runs; one of `before` and `after` is given."
    )
    of: tuple[Identifier, ...] = Field((), description="Of `update`: only where it sets one of these columns.")
    for_each: Literal["row", "statement"] = Field("row", description="How often it runs.")
    when: Expression | None = Field(None, description="Only where this is true of the row, as `old` and `new`.")
    arguments: tuple[str, ...] = Field((), description="Texts that its function is given.")
    comment: str | None = Field(None, description="What it is for.")

    def compile(self, context: Context) -> Compiled:
        """One statement under a short lock."""
        table = context.table(self.table)
        if any(trigger.name == self.name for trigger in table.triggers):
            context.refuse(f"trigger {self.name} exists already on {table.name}", at=("name",))
        self._refuse_unsound(context, table)
        named = sql.SQL("{} ON {}").format(sql.Identifier(self.name), identifier(table.name))
        step = instant(
            context,
            EXPAND,
            f"{table.name}/trigger/{self.name}/create",
            f"create trigger {self.name} of {table.name}",
            (self._statement(context, table), *again.comment(sql.SQL("TRIGGER"), named, self.comment)),
            (sql.SQL("DROP TRIGGER IF EXISTS {}").format(named),),
            f"drop trigger {self.name} of {table.name}",
            locks=lock(relation(table.name), "SHARE ROW EXCLUSIVE"),
            back_locks=lock(relation(table.name), "ACCESS EXCLUSIVE"),
        )
        needs = tuple(Need(table.name, column, follows=False) for column in self._reads(table))
        return Compiled(steps=(step,), needs=needs, hazards=tuple(self._hazards(table)))

    @property
    def _events(self) -> tuple[Event, ...]:
        return self.before or self.after

    def _reads(self, table: Table) -> list[str]:
        said = {parts[-1] for parts in self.when.references} if self.when is not None else set[str]()
        return sorted({*self.of, *(said & table.by_name.keys())})

    def _refuse_unsound(self, context: Context, table: Table) -> None:
        if bool(self.before) == bool(self.after):
            context.refuse("a trigger runs `before` events or `after` events", fix="give one of both")
        for place, column in enumerate(self.of):
            context.column(table, column, "of", place)
        if self.of and "update" not in self._events:
            context.refuse("`of` is of `update`", fix="name update among the events, or leave `of` out", at=("of",))
        if "truncate" in self._events and self.for_each == "row":
            context.refuse("TRUNCATE has no rows", fix="say `for_each: statement`", at=("for_each",))
        function = context.name(self.function)
        if f"{function}()" not in {*context.catalog.functions, *context.defined}:
            context.refuse(
                f"function {function}() does not exist",
                why="a trigger runs a function without arguments that returns trigger",
                fix="create it with a `create_function` above this change",
                at=("function",),
            )
        if self.when is not None:
            with context.at("when"):
                context.probe.query(condition_over_stand_ins(self.when.text, context.row_types(table)))

    def _statement(self, context: Context, table: Table) -> sql.Composable:
        columns = sql.SQL(" OF {}").format(names(self.of)) if self.of else sql.SQL("")
        events = sql.SQL(" OR ").join(
            sql.SQL("{}{}").format(trusted(event.upper()), columns if event == "update" else sql.SQL(""))
            for event in self._events
        )
        when = sql.SQL(" WHEN ({})").format(trusted(self.when.text)) if self.when is not None else sql.SQL("")
        return sql.SQL("CREATE TRIGGER {} {} {} ON {} FOR EACH {}{} EXECUTE FUNCTION {}({})").format(
            sql.Identifier(self.name),
            sql.SQL("BEFORE" if self.before else "AFTER"),
            events,
            identifier(table.name),
            trusted(self.for_each.upper()),
            when,
            identifier(context.name(self.function)),
            sql.SQL(", ").join(map(sql.Literal, self.arguments)),
        )

    def _hazards(self, table: Table) -> Iterator[Hazard]:
        what = (
            f"both versions fire trigger {self.name} of {table.name} from expand on: see that the old one can bear it"
        )
        yield Hazard("trigger-for-both", "warning", what)
        if self.before and self.for_each == "row" and self.name > OWN_PREFIX:
            yield Hazard(
                "late-trigger",
                "note",
                f"trigger {self.name} of {table.name} runs after those by which crossfade keeps columns in step: a"
                " later migration of a column that it assigns is refused",
                f"name it A_{self.name}",
            )
