"""The turn: one short transaction in which the new side takes over, and its way back.

At cutover names swap (old and new bear the same name); at retire an old name is hidden beside a new one. Either
way the old side goes on following the new one, so turning back is the same short transaction the other way round.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import LiteralString

from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.spec.model import Stage
from crossfade.steps import carry, numbering, old_writes, replaced_key, rules
from crossfade.steps.compose import lock, text
from crossfade.steps.conflicts import IN_CONFLICT
from crossfade.steps.fill import settle, turn_guards
from crossfade.steps.followers import carried_over, followers, lock_followers, sampled_again, taken_away
from crossfade.steps.keys import Key, key_rule
from crossfade.steps.mirror import Mirror, notes, triggers
from crossfade.steps.mirror import course as mirrored
from crossfade.steps.recompile import recompile
from crossfade.steps.rows import Moment, Pair, Sides
from crossfade.steps.rules import Place, Rule
from crossfade.steps.step import AnyStep, Check, Ddl, Guard, Leg, stage_leg
from crossfade.steps.sync import always_on, install_sync, remove_sync
from crossfade.steps.types import renamed_type


def rules_of(sides: Sides, pair: Pair) -> tuple[Rule, ...]:
    """The new rules of a pair's columns, in the leg where the spec enforces them."""
    place = _place(sides, pair.rules_leg or sides.rules_leg)
    names = sides.new_names("side by side")
    found = [
        rules.not_null(
            place,
            sides.physical(column),
            lasting=column.name,
            subject=column.name,
            shown=f"{sides.relation}.{column.name}",
        )
        for column in pair.new
        if column.not_null
    ]
    for check in pair.checks:
        condition = check.condition.render(sides.table.name.name, None, names)
        found.append(rules.check(place, check.name, condition, subject=check.name, shown=f"the check {check.name}"))
    for key in pair.uniques:
        columns = tuple(names.get(column, column) for column in key.columns)
        shown = f"{sides.relation} ({', '.join(key.columns)})"
        found.append(key_rule(place, key.name, Key(columns), subject=key.name, shown=shown))
    return tuple(found)


def turn(together: Sequence[Sides], stage: Stage, before: Moment, after: Moment) -> Ddl:
    """The step that turns all pairs which turn at `stage`.

    together: the table; or several, whose columns are of a type that changes its name with the turn.
    """
    ways = [_Way.of(sides, stage, after) for sides in together]
    leg = stage_leg(stage)
    turning = tuple(pair for way in ways for pair in way.turning)
    forth = (
        *(each for way in ways for each in way.all_carried),
        *(each for way in ways for each in way.sync_ends),
        *_types_renamed(turning, forth=True),
        *(each for way in ways for each in way.forth),
        *(each for way in ways for each in way.goes_on(after)),
    )
    back = (
        *(each for way in ways for each in way.sync_ends),
        *_types_renamed(turning, forth=False),
        *(each for way in reversed(ways) for each in way.back),
        *(each for way in ways for each in way.goes_on(before)),
    )
    tables = [sides.relation for sides in together]
    locks = (
        *(found for each in tables for found in lock(each, "ACCESS EXCLUSIVE")),
        *(found for found in lock_followers(None, followers(turning)) if found.relation not in tables),
    )
    first = together[0]
    return Ddl(
        id=first.id(stage),
        leg=leg,
        database=first.database,
        title="; ".join(way.title for way in ways),
        locks=locks,
        statements=forth,
        guards=tuple(each for way in ways for each in way.guards(before)),
        witnessed_by=tuple(each for sides in together for each in _witnesses(sides, stage)),
        undo=(
            *(step for way in ways for step in way.before_back()),
            Ddl(
                id=first.id(stage, "undo"),
                leg=leg,
                database=first.database,
                title="; ".join(f"give {each} its old names back" for each in tables),
                locks=locks,
                statements=back,
                guards=tuple(each for way in ways for each in way.guards(after)),
            ),
            *(step for way in ways for step in way.after_back()),
        ),
        undo_title="turn back at once: the old side was kept in step",
    )


@dataclass(frozen=True)
class _Way:
    """One table's part of a turn. forth, back: statements between the end of the sync and its going on."""

    sides: Sides
    stage: Stage
    after: Moment
    turning: tuple[Pair, ...]
    forth: tuple[str, ...]
    back: tuple[str, ...]

    @classmethod
    def of(cls, sides: Sides, stage: Stage, after: Moment) -> _Way:
        turning = tuple(pair for pair in sides.pairs if pair.turns_at == stage)
        forth = [statement for pair in turning for statement in _forth(sides, pair)]
        back = [statement for pair in reversed(turning) for statement in _back(sides, pair)]
        for names_forth, names_back in carry.renames(sides, stage):
            forth.extend(names_forth)
            back = [*names_back, *back]
        if stage == "cutover":
            (first, last), (first_back, last_back) = replaced_key.turned(sides), replaced_key.turned_back(sides)
            forth, back = [*first, *forth, *last], [*first_back, *back, *last_back]
        # What follows goes first, since a view that groups by a key holds on to it.
        taken = [*taken_away(followers(turning))]
        forth = [*taken, *forth, *carried_over(sides, stage, forth=True)]
        back = [*taken, *back, *carried_over(sides, stage, forth=False)]
        if stage == "retire":
            forth, back = [*old_writes.end(sides), *forth], [*back, *old_writes.begin(sides)]
        return cls(sides, stage, after, turning, tuple(forth), tuple(back))

    @property
    def title(self) -> str:
        sides = self.sides
        named = ", ".join(sorted({name for pair in self.turning for name in (*pair.old, *(c.name for c in pair.new))}))
        if self.stage == "cutover":
            return f"swap names in {sides.relation}: the new {named} takes over"
        if named:
            return f"let the new shape of {sides.relation} take over ({named})"
        return f"have the new version alone write {sides.relation}"

    @property
    def all_carried(self) -> Iterator[str]:
        """What was written to a side that ends is on the other one."""
        for mirror in _turning_mirrors(self.sides, self.stage, "side by side"):
            yield from notes.all_carried(mirror)

    @property
    def sync_ends(self) -> tuple[str, ...]:
        """Triggers go before the columns they name."""
        return remove_sync(self.sides) if self.sides.synced else ()

    def goes_on(self, moment: Moment) -> Iterator[str]:
        """They come back, for the names of the moment."""
        if self.sides.synced:
            yield from install_sync(self.sides, moment)
        yield from _mirrored(self.sides, self.stage, moment)

    def guards(self, moment: Moment) -> Iterator[Guard]:
        yield from turn_guards(self.sides)
        yield from _guards_of_mirrors(self.sides, self.stage, moment)

    def before_back(self) -> Iterator[AnyStep]:
        """What the turn back wants to be asked and made first."""
        sides, leg = self.sides, stage_leg(self.stage)
        yield from _ask_conflicts(sides, self.stage, self.turning or sides.pairs, leg)
        for mirror in _turning_mirrors(sides, self.stage, self.after):
            yield mirrored.ask_before_turning_back(mirror, leg)
        if self.stage == "cutover":
            yield from numbering.asks(sides)
            yield from replaced_key.made_ready(sides)

    def after_back(self) -> Iterator[AnyStep]:
        sides, leg = self.sides, stage_leg(self.stage)
        yield from _old_not_null_again(sides, self.turning, leg)
        yield from _made_again(sides, self.stage, self.turning)
        shed = [name for pair in self.turning for name in pair.sheds]
        yield from carry.checks_again(sides.table, shed, _place(sides, leg))
        yield from sampled_again(sides.id(self.stage, "undo"), leg, sides.database, followers(self.turning))


def _types_renamed(turning: tuple[Pair, ...], *, forth: bool) -> Iterator[str]:
    """Before all else, so that what names a type finds the one that is meant."""
    renamed = [*dict.fromkeys((type_.before, type_.after) for pair in turning for type_ in pair.renamed)]
    for before, after in renamed if forth else [(new, old) for old, new in reversed(renamed)]:
        yield from text(*renamed_type(before, after))


def _ask_conflicts(sides: Sides, stage: Stage, turning: tuple[Pair, ...], leg: Leg) -> Iterator[Check]:
    """Before a turn back: no row holds what the old side cannot. Nothing is counted unless the new side is in place
    and the triggers are on: conflicts of another moment are not in its way.
    """
    hidden = [sides.hidden(name) for pair in turning for name in pair.old]
    if not sides.synced or not hidden:
        return
    query = sql.SQL(
        "SELECT pg_catalog.count(*) AS {} FROM crossfade.conflict"
        " WHERE migration = {} AND relation = {} AND resolved_at IS NULL AND ({})"
        " AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = {}::regclass::oid AND attname = {}::name)"
    ).format(
        sql.Identifier(IN_CONFLICT),
        sql.Literal(sides.migration),
        sql.Literal(str(sides.relation)),
        trusted(always_on(sides)),
        sql.Literal(sides.sql.as_string(None)),
        sql.Literal(hidden[0]),
    )
    yield Check(
        id=sides.id(stage, "undo", "ask"),
        leg=leg,
        database=sides.database,
        title=f"ask that the old side of {sides.relation} holds what every row was written with",
        locks=lock(sides.relation, "ACCESS SHARE"),
        query=query.as_string(None),
        settle=settle(sides),
        silent=sides.silent,
        fix="write these rows with values that the old column can hold, then roll back again",
    )


def _turning_mirrors(sides: Sides, stage: Stage, moment: Moment) -> tuple[Mirror, ...]:
    """Columns that go to another table leave at retire."""
    return sides.mirrors_at(moment) if stage == "retire" else ()


def _mirrored(sides: Sides, stage: Stage, moment: Moment) -> Iterator[str]:
    """Statements that let the mirrors go on with the names of the moment."""
    for mirror in _turning_mirrors(sides, stage, moment):
        yield from triggers.turn(mirror, "turned" if moment == "retired" else "side by side")


def _guards_of_mirrors(sides: Sides, stage: Stage, moment: Moment) -> Iterator[Guard]:
    for mirror in _turning_mirrors(sides, stage, moment):
        yield from mirrored.guards(mirror, "turned" if moment == "retired" else "side by side")


def _witnesses(sides: Sides, stage: Stage) -> tuple[str, ...]:
    leg = stage_leg(stage)
    own = (sides.id("parity", str(leg)),) if sides.filled else ()
    return (*own, *(mirrored.parity(mirror, leg).id for mirror in _turning_mirrors(sides, stage, "side by side")))


def _place(sides: Sides, leg: Leg) -> Place:
    return Place(sides.migration, sides.database, sides.relation, sides.key, leg)


def _alter(sides: Sides, clause: LiteralString, *parts: sql.Composable | str) -> str:
    return sides.alter(clause, *parts).as_string(None)


def _forth(sides: Sides, pair: Pair) -> Iterator[str]:
    for check in pair.sheds:
        yield _alter(sides, "DROP CONSTRAINT {}", check)
    for name in pair.old:
        old, hidden = sides.old_column(name), sides.hidden(name)
        yield _alter(sides, "RENAME COLUMN {} TO {}", name, hidden)
        if not sides.follows(name):  # its default goes on filling it
            continue
        if old.not_null:  # a new write whose value cannot be mapped back must not fail
            yield _alter(sides, "ALTER COLUMN {} DROP NOT NULL", hidden)
        if old.default is not None:
            yield _alter(sides, "ALTER COLUMN {} DROP DEFAULT", hidden)
    for column in pair.new:
        if pair.swap:
            yield _alter(sides, "RENAME COLUMN {} TO {}", sides.shadow(column.name), column.name)
        if column.default is not None:
            yield _alter(sides, "ALTER COLUMN {} SET DEFAULT {}", column.name, trusted(column.default))
    for rule in rules_of(sides, pair):
        yield from rule.finish
    if pair.readers:
        yield recompile(pair.readers)


def _back(sides: Sides, pair: Pair) -> Iterator[str]:
    for rule in reversed(rules_of(sides, pair)):
        yield from rule.unfinish
    for column in pair.new:
        if column.default is not None:
            yield _alter(sides, "ALTER COLUMN {} DROP DEFAULT", column.name)
        if pair.swap:
            yield _alter(sides, "RENAME COLUMN {} TO {}", column.name, sides.shadow(column.name))
    for name in pair.old:
        old = sides.old_column(name)
        yield _alter(sides, "RENAME COLUMN {} TO {}", sides.hidden(name), name)
        if old.default is not None:
            yield _alter(sides, "ALTER COLUMN {} SET DEFAULT {}", name, trusted(old.default))
    if pair.readers:
        yield recompile(pair.readers)


def _made_again(sides: Sides, stage: Stage, turning: tuple[Pair, ...]) -> Iterator[AnyStep]:
    """After a turn back: what it took of the leg before, so that the next turn takes no scan either."""
    found: list[AnyStep] = [step for pair in turning for rule in rules_of(sides, pair) for step in rule.again]
    if stage == "cutover":
        found.extend(replaced_key.made_again(sides))
    for step in found:
        yield step.model_copy(update={"leg": stage_leg(stage), "for_going_on": True})


def _old_not_null_again(sides: Sides, turning: tuple[Pair, ...], leg: Leg) -> Iterator[AnyStep]:
    """After a turn back: NOT NULL of the old columns again, proved without a blocking scan."""
    left = [name for pair in turning for name in pair.old if sides.is_bound(name)]
    for name in (name for name in left if not replaced_key.is_proved_before_the_turn_back(sides, name)):
        yield from rules.not_null_again(
            _place(sides, leg), name, subject=f"old {name}", shown=f"{sides.relation}.{name}"
        )
