"""A column's own sequence becomes that of its identity, while applications go on to take numbers.

Who inserts a row holds the table and wants the sequence; who takes a number by the sequence's name first holds that and
wants the table. Whoever locked both would meet one of them each time. So there are two sequences for a while, which
give every second number each: the new one to inserts, the old one by its name. Then they change names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from crossfade.catalog.model import Column, Name, Sequence
from crossfade.catalog.parts import Identity
from crossfade.changes._context import Context
from crossfade.changes._instant import instant
from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps.compose import alter_column, identifier, lock, relation
from crossfade.steps.numbering import as_it_is, generated, told_again
from crossfade.steps.step import Ddl, Leg, Lock, stage_leg

# Numbers that are left out, for those who take one at the very instant of a change.
GAP = 1000
_CUTOVER = stage_leg("cutover")


@dataclass(frozen=True)
class CountingOver:
    """sequence: the column's own, which its default draws from. kind: of the identity that it shall be."""

    context: Context
    table: Name
    column: Column
    default: str
    kind: Identity
    sequence: Sequence

    def steps(self) -> Iterator[Ddl]:
        """Each leaves both kinds of clients with numbers that nobody else gets."""
        sequence, old = self.sequence, identifier(self.sequence.name)
        twice = 2 * sequence.increment
        yield self._step(
            _CUTOVER,
            "apart",
            f"let {sequence.name} give every second number",
            [_by(old, twice)],
            [_by(old, sequence.increment)],
            "let it give each number again",
        )
        yield self._step(
            _CUTOVER,
            "identity",
            f"let {self._shown} be generated {self.kind} as identity, with the numbers between",
            [
                self._altered(sql.SQL("DROP DEFAULT")),
                self._altered(sql.SQL("ADD {}").format(generated(self.kind, self._between, sequence.type))),
                self._set(self._between, sequence.increment, sequence),
            ],
            [
                self._set(sequence, 0, sequence, self._between),
                self._altered(sql.SQL("DROP IDENTITY")),
                self._altered(sql.SQL("SET DEFAULT {}").format(trusted(self.default))),
            ],
            f"let {self._shown} draw from {sequence.name} again",
            lock(relation(self.table), "ACCESS EXCLUSIVE"),
        )
        yield self._step(
            _CUTOVER,
            "name",
            f"give the identity's sequence the name {sequence.name}",
            [
                _renamed(sequence, self._hidden),
                _renamed(self._between, sequence),
                _by(old, sequence.increment),
                self._set(sequence, 0, sequence, self._hidden),
                _owned(self._hidden, sql.SQL("NONE")),
                *told_again(sequence),
            ],
            [
                _renamed(sequence, self._between),
                _renamed(self._hidden, sequence),
                _by(identifier(self._between.name), twice),
                self._set(sequence, 0, sequence, self._between),
                self._set(self._between, sequence.increment, sequence),
                _owned(sequence, sql.Identifier(self.table.schema, self.table.name, self.column.name)),
            ],
            "give it back to the other one",
        )
        alone = replace(self._hidden, owned_by=None)
        yield self._step(
            stage_leg("drop"),
            "gone",
            f"drop the sequence that {self._shown} counted with (hidden until now)",
            [sql.SQL("DROP SEQUENCE {}").format(identifier(alone.name))],
            [sql.SQL("CREATE SEQUENCE {} {}").format(identifier(alone.name), as_it_is(alone)), *told_again(alone)],
            "make it again, still hidden",
        )

    @property
    def _shown(self) -> str:
        return f"{self.table}.{self.column.name}"

    @property
    def _between(self) -> Sequence:
        return self._apart("identity")

    @property
    def _hidden(self) -> Sequence:
        return self._apart("counted")

    def _apart(self, purpose: str) -> Sequence:
        """The sequence under a name of ours, as it counts while there are two."""
        sequence = self.sequence
        name = Name(sequence.name.schema, self.context.own(purpose, str(sequence.name)))
        return replace(sequence, name=name, increment=2 * sequence.increment)

    def _set(self, sequence: Sequence, more: int, *counted: Sequence) -> sql.Composable:
        """It goes on past what these have given out, and a gap. more: between the numbers of the two."""
        far = GAP * self.sequence.increment + more
        furthest = sql.SQL("greatest" if self.sequence.increment > 0 else "least")
        last = sql.SQL(", ").join(
            sql.SQL("(SELECT last_value FROM {})").format(identifier(each.name)) for each in counted
        )
        name = sql.Literal(identifier(sequence.name).as_string(None))
        return sql.SQL("SELECT pg_catalog.setval({}::regclass, {}({}) + {}, true)").format(
            name, furthest, last, sql.Literal(far)
        )

    def _altered(self, clause: sql.Composable) -> sql.Composable:
        return alter_column(self.table, self.column.name, clause)

    def _step(
        self,
        leg: Leg,
        what: str,
        title: str,
        forth: list[sql.Composable],
        back: list[sql.Composable],
        back_title: str,
        locks: tuple[Lock, ...] = (),
    ) -> Ddl:
        return instant(self.context, leg, f"{self._shown}/sequence/{what}", title, forth, back, back_title, locks=locks)


def _by(name: sql.Composable, increment: int) -> sql.Composable:
    return sql.SQL("ALTER SEQUENCE {} INCREMENT BY {}").format(name, sql.Literal(increment))


def _renamed(old: Sequence, new: Sequence) -> sql.Composable:
    return sql.SQL("ALTER SEQUENCE {} RENAME TO {}").format(identifier(old.name), sql.Identifier(new.name.name))


def _owned(sequence: Sequence, owner: sql.Composable) -> sql.Composable:
    return sql.SQL("ALTER SEQUENCE {} OWNED BY {}").format(identifier(sequence.name), owner)
