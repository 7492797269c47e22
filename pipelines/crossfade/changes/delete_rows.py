"""delete_rows: rows deleted in batches, put aside first so that undo brings them back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from pydantic import Field

from crossfade.catalog.model import ForeignKey, Name, Table
from crossfade.changes._change import Change, Compiled, Hazard
from crossfade.changes._children import has_children, types_of, unindexed_hazards
from crossfade.changes._context import Context
from crossfade.changes._mapping import checked
from crossfade.changes._obstacles import refuse_branched
from crossfade.changes._silence import is_silent
from crossfade.composing import sql
from crossfade.spec.fragment import Expression
from crossfade.spec.values import Identifier
from crossfade.steps.aside import Aside, refers
from crossfade.steps.compose import any_leaf, identifier, in_batch, key_text, names, ours, per_leaf, relation
from crossfade.steps.step import BACKFILL, AnyStep, Check, Lock, Walk


class DeleteRows(Change):
    """Delete rows in batches, so that undo brings them back.

    Rows that match `where` are deleted in backfill, in batches that skip what others hold. The statement that deletes a
    row puts it aside in a table of the schema `crossfade`. Rows that come to match while it runs go too.

    `children` says what becomes of a row at which rows of other tables point, whatever the foreign key's own ON DELETE
    says. A row is locked before it is asked for them, so that none can come in between: no row goes, and none is
    emptied by ON DELETE SET NULL, without having been put aside.

    ## Old and new versions

    Both see each row go when its batch is done. Where the old version still needs them, make it a migration of its own,
    `after` the one that ends that need, or hold backfill up with a gate.

    ## Undo

    The rows come back as they were, with what was deleted of their children. A row stays away whose key is used again,
    whose parent is gone, or which breaks another unique rule by now; how many is told. Where that rule is partial, or
    over an expression, the undo stops until one of the two is changed.

    ## Locks

    The rows of a batch, for about as long as `backfill.target`: who writes one of them, or a new row that points at
    one, waits for that batch. Nothing on the tables that makes reads or writes wait.

    ## Hazards

    - `deletes-rows`: what was put aside is gone for good once the archive is purged.
    - `unindexed-foreign-key`: the child's table is read once for every row that goes; create the index first.
    - Users' triggers fire only with `backfill: {fire_triggers: true}`. Where they cannot be silenced, the plan is
      refused until the spec says it.
    - With `children: delete`, foreign keys that lead back to a table on the way are refused: delete level by level.

    ## Example

    ```yaml
    changes:
      - delete_rows:
          table: sessions
          where: expires_at < now() - interval '1 year'
          children: delete
    ```
    """

    table: Identifier = Field(description="The table whose rows are deleted.")
    where: Expression = Field(description="SQL over the row: those for which it is true go; `true` for all of them.")
    children: Literal["refuse", "keep", "delete"] = Field(
        "refuse",
        description="What becomes of a row at which rows of other tables point: `refuse`: the phase stops before"
        " anything is deleted. `keep`: it stays. `delete`: they are deleted with it.",
    )

    def compile(self, context: Context) -> Compiled:
        """Room for the rows, then walks: those that point at others first."""
        table = context.table(self.table)
        if table.partition_of is None:
            refuse_branched(context, table)
        checked(context, table, self.where, row=context.row_types(table), wanted="boolean", field="where")
        top = _Part(context, table, None, self.where, takes_children=self.children == "delete")
        parts = [*top.down()]
        asides = {part.table.name: part.aside for part in parts}
        walks = [part.walk() for part in reversed(parts)]
        undo = tuple(aside.bring_back(f"{top.id}/back/{name}") for name, aside in asides.items())
        steps: list[AnyStep] = [
            *(aside.make_room(f"{top.id}/{name}") for name, aside in asides.items()),
            # The first of the leg's walks is undone last, when all are there again that may come back.
            walks[0].model_copy(update={"undo": undo, "undo_title": "bring the deleted rows back"}),
            *(walk.model_copy(update={"undo_title": "its rows come back with the others"}) for walk in walks[1:]),
        ]
        if top.incoming and self.children == "refuse":
            steps.insert(0, self._ask(top, "children", among_themselves=False))
        if top.incoming and self.children != "keep":
            steps.append(self._ask(top, "left", among_themselves=True))
        keys = dict.fromkeys(key for part in parts for key in part.incoming)
        return Compiled(
            steps=tuple(steps),
            hazards=(_hazard(table), *unindexed_hazards(context.catalog, keys)),
            keeps=((table.name, tuple(table.by_name)),),
        )

    def _ask(self, top: _Part, purpose: str, *, among_themselves: bool) -> Check:
        """among_themselves: rows of the table itself that point at the row count, which may be going as well."""
        keys = [key for key in top.incoming if among_themselves or key.child != key.parent]
        words = f"rows of {top.table.name} that are to go, and others point at them"
        question = sql.SQL("SELECT pg_catalog.count(*) AS {} FROM {} AS t WHERE {} AND {}").format(
            sql.Identifier(words),
            identifier(top.table.name),
            top.wanted("t"),
            has_children(top.context.catalog, keys, "t"),
        )
        children = sorted({str(key.child) for key in keys})
        return Check(
            id=f"{top.id}/{purpose}",
            leg=BACKFILL,
            database=top.context.database,
            title=f"ask that no row of {', '.join(children)} points at a row of {top.table.name} that is to go",
            locks=tuple(
                Lock(relation=relation(name), mode="ACCESS SHARE")
                for name in dict.fromkeys([top.table.name, *(key.child for key in keys)])
            ),
            query=question.as_string(None),
            fix="delete these rows or point them elsewhere, then run `crossfade up` again; or take it back and say"
            " `children: keep` or `children: delete`",
        )


def _hazard(table: Table) -> Hazard:
    return Hazard(
        "deletes-rows",
        "warning",
        f"rows of {table.name} go in backfill, for old and new versions alike; once the archive is purged nothing"
        " brings them back",
        "see that no version needs them any more, or hold backfill up with a gate",
    )


@dataclass(frozen=True)
class _Part:
    """A table whose rows go: the one that was named, or one that points at it by the foreign key in `above`."""

    context: Context
    table: Table
    above: tuple[_Part, ForeignKey] | None
    where: Expression
    takes_children: bool

    @cached_property
    def incoming(self) -> tuple[ForeignKey, ...]:
        return self.context.catalog.references_to(self.table.name)

    @cached_property
    def id(self) -> str:
        if self.above is None:
            return f"{self.table.name}/delete/{self.context.index}"
        parent, key = self.above
        return f"{parent.id}/{key.child}.{key.name}"

    @cached_property
    def silent(self) -> bool:
        context = self.context
        return is_silent(
            context.catalog, context.head, self.table.name, where=context.where, done="deleted", event="delete"
        )

    @cached_property
    def aside(self) -> Aside:
        context = self.context
        return Aside(
            migration=context.migration,
            database=context.database,
            table=self.table,
            parents=context.catalog.references_from(self.table.name),
            subject=str(context.index),
            leg=BACKFILL,
            keep=context.head.contract.keep,
            silent=is_silent(
                context.catalog,
                context.head,
                self.table.name,
                where=context.where,
                done="brought back by an undo",
                event="insert",
            ),
        )

    @cached_property
    def below(self) -> tuple[_Part, ...]:
        """The tables whose rows go before its rows. A row of its own that points at one of its rows has to match."""
        if not self.takes_children:
            return ()
        keys = [key for key in self.incoming if key.child != self.table.name]
        for key in keys:
            if key.child in self._names_above():
                self.context.refuse(
                    f"foreign key {key.name} of {key.child} leads back to a table on the way",
                    why="there is no order in which these rows could go",
                    fix="delete level by level, with a delete_rows for each table and `children: refuse`",
                    at=("children",),
                )
        tables = self.context.catalog.tables
        return tuple(_Part(self.context, tables[key.child], (self, key), self.where, True) for key in keys)

    def _names_above(self) -> Iterator[Name]:
        part: _Part | None = self
        while part is not None:
            yield part.table.name
            part = part.above[0] if part.above else None

    def down(self) -> Iterator[_Part]:
        """Itself and all below it, parents before those that point at them."""
        yield self
        for part in self.below:
            yield from part.down()

    def wanted(self, row: str, depth: int = 0) -> sql.Composable:
        """The row is to go: it matches, or points at one that does."""
        if self.above is None:
            return sql.SQL("({})").format(self.where.render(self.table.name.name, row))
        parent, key = self.above
        alias = f"_cf_{depth}"
        return sql.SQL("EXISTS (SELECT FROM {} AS {} WHERE {} AND {})").format(
            identifier(parent.table.name),
            sql.Identifier(alias),
            refers(key, types_of(self.table), row, alias),
            parent.wanted(alias, depth + 1),
        )

    def walk(self) -> Walk:
        """Over this table: rows are locked with all that points at them, and go from below."""
        wanted = self.wanted("t")
        stays = [key for key in self.incoming if not self.takes_children or key.child == key.parent]
        due = sql.SQL("{} AND NOT {}").format(wanted, has_children(self.context.catalog, stays, "t"))
        due_in_range = sql.SQL("{} AND {}").format(in_batch("t"), due)
        locked = [sql.SQL("SELECT FROM {} AS t WHERE {} FOR UPDATE OF t SKIP LOCKED")]
        first = [locked[0].format(any_leaf(), due_in_range)]
        others = [part for part in self.down() if part is not self]
        first += [part._lock(self) for part in others]
        first += [part._delete(part._found("c", self), "c") for part in reversed(others)]
        title = f"delete rows of {self.table.name}"
        return Walk(
            id=self.id,
            leg=BACKFILL,
            database=self.context.database,
            title=title + (f" that point at rows of {self.above[0].table.name} that go" if self.above else ""),
            locks=tuple(
                Lock(relation=relation(name), mode="ROW EXCLUSIVE")
                for name in dict.fromkeys(part.table.name for part in self.down())
            ),
            relation=relation(self.table.name),
            first=tuple(map(per_leaf, first)),
            batch=per_leaf(self._delete(sql.SQL("{} AND {}").format(in_batch("t"), wanted), "t", any_leaf())),
            pending=sql.SQL("SELECT pg_catalog.count(*) FROM {} AS t WHERE {}")
            .format(identifier(self.table.name), due)
            .as_string(None),
            # Without a key nothing tells a row that moved from one that came; and where rows of the table point at each
            # other, some come to be due as those below them go.
            due=sql.SQL("SELECT {} FROM {} AS t WHERE {}")
            .format(key_text(self.table.key, "t"), identifier(self.table.name), due)
            .as_string(None)
            if self.table.key and all(key.child != key.parent for key in self.incoming)
            else None,
            pending_rows=per_leaf(
                sql.SQL("SELECT t.ctid::text FROM {} AS t WHERE {}").format(any_leaf(), due_in_range)
            ),
            again=True,
            silent=any(part.silent for part in self.down()),
        )

    def _found(self, row: str, top: _Part, depth: int = 0) -> sql.Composable:
        """The row points, maybe by way of others that are locked, at a locked one in the range of `top`."""
        assert self.above is not None
        parent, key = self.above
        alias = f"_cf_{depth}"
        further = in_batch(alias) if parent is top else parent._found(alias, top, depth + 1)
        return sql.SQL("EXISTS (SELECT FROM {} AS {} WHERE {} AND {} AND {})").format(
            any_leaf() if parent is top else identifier(parent.table.name),
            sql.Identifier(alias),
            refers(key, types_of(self.table), row, alias),
            ours(alias),
            further,
        )

    def _lock(self, top: _Part) -> sql.Composable:
        return sql.SQL("SELECT FROM {} AS c WHERE {} FOR UPDATE OF c SKIP LOCKED").format(
            identifier(self.table.name), self._found("c", top)
        )

    def _delete(self, which: sql.Composable, row: str, leaf: sql.Composable | None = None) -> sql.Composable:
        """Of these, the locked ones at which no row points."""
        return sql.SQL("WITH gone AS (DELETE FROM {} AS {} WHERE {} AND {} AND NOT {} RETURNING {}) {}").format(
            leaf or identifier(self.table.name),
            sql.Identifier(row),
            which,
            ours(row),
            has_children(self.context.catalog, self.incoming, row),
            names(self.aside.columns, of=row),
            self.aside.put(sql.SQL("gone")),
        )
