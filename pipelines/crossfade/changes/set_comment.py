"""set_comment: what is told of a table, a column or another object."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from pydantic import Field, model_validator

from crossfade.catalog.model import Domain, Name, Table
from crossfade.changes._change import Change, Compiled, Need
from crossfade.changes._context import Context
from crossfade.changes._created import refuse_missing
from crossfade.changes._instant import instant
from crossfade.composing import sql
from crossfade.spec.errors import did_you_mean
from crossfade.spec.fragment import trusted
from crossfade.spec.values import Identifier
from crossfade.steps.compose import identifier, lock, relation
from crossfade.steps.step import EXPAND, Lock

_OF_A_TABLE = ("column", "constraint", "trigger", "policy")
_ALONE = ("view", "index", "sequence", "type")


class _Told(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def comment(self) -> str | None: ...


class SetComment(Change):
    """Set a comment.

    On a table, or on a column, constraint, trigger or policy of it; on a view, an index, a sequence or a type. In
    expand, in the catalog alone.

    ## Old and new versions

    Neither notices it.

    ## Undo

    Sets the comment that was there when the plan was made.

    ## Locks

    SHARE UPDATE EXCLUSIVE on the table for an instant: reads and writes go on. The same on a view, or on the table of
    an index.

    ## Hazards

    None. An object that does not exist is refused. A comment on a column that another change of the migration replaces
    is given there, in its `to`.

    ## Example

    ```yaml
    changes:
      - set_comment: {table: users, column: email, comment: lower case; how people sign in}
    ```
    """

    table: Identifier | None = Field(None, description="A name in the `schema` of the database, or `schema.table`.")
    column: Identifier | None = Field(None, description="A column of the table.")
    constraint: Identifier | None = Field(None, description="A constraint of the table.")
    trigger: Identifier | None = Field(None, description="A trigger of the table.")
    policy: Identifier | None = Field(None, description="A row security policy of the table.")
    view: Identifier | None = Field(None, description="A view, or a materialized one.")
    index: Identifier | None = Field(None, description="An index.")
    sequence: Identifier | None = Field(None, description="A sequence.")
    type: Identifier | None = Field(None, description="An enum, a domain or a composite type.")
    comment: str | None = Field(description="What is told; `null` for nothing.")

    @model_validator(mode="after")
    def _one_object(self) -> SetComment:
        parts = [part for part in _OF_A_TABLE if getattr(self, part) is not None]
        alone = [each for each in _ALONE if getattr(self, each) is not None]
        if len(alone) + (self.table is not None) != 1 or len(parts) > 1:
            raise ValueError("name one object: a table, or one part of a table; or a view, index, sequence or type")
        if parts and self.table is None:
            raise ValueError(f"say of which table the {parts[0]} is: give `table` too")
        return self

    def compile(self, context: Context) -> Compiled:
        """One statement in expand."""
        what, subject, before, locks = self._object(context)
        step = instant(
            context,
            EXPAND,
            f"{what}/comment",
            f"set the comment of {what}",
            [_comment(subject, self.comment)],
            [_comment(subject, before)],
            "set the comment back",
            locks=locks,
        )
        return Compiled(steps=(step,), needs=self._needs(context))

    def _needs(self, context: Context) -> tuple[Need, ...]:
        """A column that another one replaces gives it the comment that it has when planned."""
        if self.table is None or self.column is None:
            return ()
        return (Need(context.table(self.table).name, self.column, follows=False),)

    def _object(self, context: Context) -> tuple[str, sql.Composable, str | None, tuple[Lock, ...]]:
        """What it is, for people and as it stands after COMMENT ON; its present comment; the locks."""
        if self.table is not None:
            return self._of_table(context, context.table(self.table))
        catalog = context.catalog
        if self.view is not None:
            name = context.name(self.view)
            if (view := catalog.views.get(name)) is None:
                refuse_missing(context, "view", name, catalog.views, "view")
            word = "MATERIALIZED VIEW" if view.materialized else "VIEW"
            return _shown(word, name, view.comment, ())
        if self.sequence is not None:
            name = context.name(self.sequence)
            if (sequence := catalog.sequences.get(name)) is None:
                refuse_missing(context, "sequence", name, catalog.sequences, "sequence")
            return _shown("SEQUENCE", name, sequence.comment, ())
        if self.type is not None:
            name = context.name(self.type)
            types = {**catalog.enums, **catalog.domains, **catalog.composites}
            if (type_ := types.get(name)) is None:
                refuse_missing(context, "an enum, domain or composite type", name, types, "type")
            return _shown("DOMAIN" if isinstance(type_, Domain) else "TYPE", name, type_.comment, ())
        assert self.index is not None
        return self._of_index(context, context.name(self.index))

    def _of_table(self, context: Context, table: Table) -> tuple[str, sql.Composable, str | None, tuple[Lock, ...]]:
        locks = lock(relation(table.name), "SHARE UPDATE EXCLUSIVE")
        if self.column is not None:
            column = context.column(table, self.column, "column")
            name = sql.Identifier(table.name.schema, table.name.name, column.name)
            return f"{table.name}.{column.name}", sql.SQL("COLUMN {}").format(name), column.comment, locks
        parts: dict[str, Iterable[_Told]] = {
            "constraint": table.constraints,
            "trigger": table.user_triggers,
            "policy": table.policies,
        }
        for part, held in parts.items():
            wanted: str | None = getattr(self, part)
            if wanted is None:
                continue
            known = {each.name: each.comment for each in held}
            if wanted not in known:
                context.refuse(f"{table.name} has no {part} {wanted}", fix=did_you_mean(wanted, known), at=(part,))
            subject = sql.SQL("{} {} ON {}").format(
                trusted(part.upper()), sql.Identifier(wanted), identifier(table.name)
            )
            return f"{part} {wanted} of {table.name}", subject, known[wanted], locks
        return str(table.name), sql.SQL("TABLE {}").format(identifier(table.name)), table.comment, locks

    def _of_index(self, context: Context, name: Name) -> tuple[str, sql.Composable, str | None, tuple[Lock, ...]]:
        indexes = {
            Name(table.name.schema, index.name): (index, table)
            for table in context.catalog.tables.values()
            for index in table.indexes
        }
        if name not in indexes:
            refuse_missing(context, "index", name, indexes, "index")
        index, table = indexes[name]
        return _shown("INDEX", name, index.comment, lock(relation(table.name), "SHARE UPDATE EXCLUSIVE"))


def _shown(
    word: str, name: Name, comment: str | None, locks: tuple[Lock, ...]
) -> tuple[str, sql.Composable, str | None, tuple[Lock, ...]]:
    return f"{word.lower()} {name}", sql.SQL("{} {}").format(trusted(word), identifier(name)), comment, locks


def _comment(subject: sql.Composable, comment: str | None) -> sql.Composable:
    return sql.SQL("COMMENT ON {} IS {}").format(subject, sql.Literal(comment))
