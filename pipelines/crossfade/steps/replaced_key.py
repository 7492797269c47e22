"""A primary key whose columns are replaced by others of the same values, and the foreign keys that follow it.

Every key is there twice while both sides are: between the old columns and between the new ones, so that each side
alone keeps the rule, whichever names its columns bear. A primary key cannot be made a plain index again, so on either
side an index waits to become it: the new one at the turn, the spare one on the way back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from crossfade.catalog.model import Index
from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps import carry, definitions, numbering, rules
from crossfade.steps.compose import identifier, lock, lock_parents, relation, text
from crossfade.steps.indexes import drop_index
from crossfade.steps.names import own_name
from crossfade.steps.rows import Following, Sides
from crossfade.steps.rules import Place
from crossfade.steps.step import VALIDATE, AnyStep, BuildIndex, Ddl, Leg, Lock, stage_leg

_CUTOVER = stage_leg("cutover")


def made(sides: Sides) -> Iterator[AnyStep]:
    """Before cutover: the indexes that wait, and each foreign key between the new columns."""
    if (index := replaced(sides)) is not None:
        yield _built(sides, index, _new_name(sides, index), sides.new_names("side by side"), VALIDATE, "new")
        yield _built(sides, index, _spare_name(sides, index), {}, VALIDATE, "spare")
    for key in sides.following:
        yield from _bound(sides, key, key.new, VALIDATE, "follow")


def let_go(sides: Sides) -> Iterator[Ddl]:
    """Just before the turn: foreign keys between the old columns, which PostgreSQL would not let the old key go for."""
    for key in sides.following:
        child = _child(sides, key)
        # The child is turned by now, and turned back later; the parent is not turned yet, or turned back already.
        columns = dict[str, str]() if key.child == sides.table.name else key.turned
        statement = definitions.carried_constraint(
            child.relation, key.constraint, name=key.constraint.name, columns=columns
        )
        add = Ddl(
            id=child.id("follow", key.constraint.name, "old"),
            leg=_CUTOVER,
            database=sides.database,
            title=f"bind {key.constraint.name} of {key.child} to the old key of {sides.relation} again",
            locks=_locks(sides, key),
            statements=(
                statement,
                *_dropped(child, _bridge_name(sides, key)),
                *text(*carry.told_of_constraint(identifier(key.child), key.constraint, key.constraint.name)),
            ),
        )
        yield Ddl(
            id=child.id("follow", key.constraint.name, "let go"),
            leg=_CUTOVER,
            database=sides.database,
            title=f"let {key.constraint.name} of {key.child} go from the old key of {sides.relation}",
            locks=_locks(sides, key),
            statements=_dropped(child, key.constraint.name),
            undo=(add, *_validated(sides, key, key.constraint.name, _CUTOVER, "old")),
            undo_title="bind it to the old key again, then check every row without a lock",
        )


def named(sides: Sides) -> Iterator[Ddl]:
    """After the turn each new foreign key gets the name of the old one."""
    for key in sides.following:
        child, name, own = _child(sides, key), key.constraint.name, _follow_name(sides, key)
        rename = sql.SQL("ALTER TABLE {} RENAME CONSTRAINT {} TO {}")
        told = carry.told_of_constraint(identifier(key.child), key.constraint, name)
        yield Ddl(
            id=child.id("follow", name, "name"),
            leg=_CUTOVER,
            database=sides.database,
            title=f"give {name} of {key.child} its name",
            locks=lock(child.relation, "ACCESS EXCLUSIVE"),
            statements=text(rename.format(child.sql, sql.Identifier(own), sql.Identifier(name)), *told),
            undo=(
                Ddl(
                    id=child.id("follow", name, "name", "undo"),
                    leg=_CUTOVER,
                    database=sides.database,
                    title=f"take the name of {name} of {key.child} away",
                    locks=lock(child.relation, "ACCESS EXCLUSIVE"),
                    statements=text(rename.format(child.sql, sql.Identifier(name), sql.Identifier(own))),
                ),
            ),
            undo_title="rename back",
        )


def turned(sides: Sides) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the turn does before and after the names swap."""
    index = replaced(sides)
    away, again = numbering.taken_away(sides), numbering.given_again(sides, new=True)
    if index is None:
        return away, again
    return (
        (*away, *_key_dropped(sides, index)),
        (*_key_added(sides, index, _new_name(sides, index)), *again),
    )


def turned_back(sides: Sides) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The same of the turn back."""
    index = replaced(sides)
    away, again = numbering.taken_away(sides), numbering.given_again(sides, new=False)
    if index is None:
        return away, again
    required = [statement for rule in _required(sides) for statement in rule.finish]
    return (
        (*away, *_key_dropped(sides, index)),
        (*required, *_key_added(sides, index, _spare_name(sides, index)), *again),
    )


def made_ready(sides: Sides) -> Iterator[AnyStep]:
    """Before the turn back: the old columns hold a value in every row, and foreign keys leave the new key."""
    for rule in _required(sides):
        _, *proved = rule.steps  # a row without a value is one in conflict, and those were asked for
        yield from proved
    for key in sides.following:
        child = _child(sides, key)
        statement = definitions.carried_constraint(
            child.relation,
            key.constraint,
            name=_bridge_name(sides, key),
            columns=key.turned,
            referenced={name: sides.hidden(name) for name in sides.leaving},
        )
        yield Ddl(
            id=child.id("follow", key.constraint.name, "bridge"),
            leg=_CUTOVER,
            database=sides.database,
            title=f"let {key.constraint.name} of {key.child} go from the new key of {sides.relation}",
            locks=_locks(sides, key),
            statements=(statement, *_dropped(child, _follow_name(sides, key))),
        )


def made_again(sides: Sides) -> Iterator[BuildIndex | Ddl]:
    """After the turn back: what it took, for a cutover to come. A child is turned still."""
    if (index := replaced(sides)) is not None:
        yield _built(sides, index, _new_name(sides, index), sides.new_names("side by side"), _CUTOVER, "new again")
        yield _built(sides, index, _spare_name(sides, index), {}, _CUTOVER, "spare again")
    for key in sides.following:
        columns = key.new if key.child == sides.table.name else dict[str, str]()
        yield from _bound(sides, key, columns, _CUTOVER, "again")


def old_again(sides: Sides, leg: Leg) -> Iterator[AnyStep]:
    """The spare index went with the dropped old columns: over those that came back."""
    if (index := replaced(sides)) is not None:
        hidden = {name: sides.hidden(name) for name in sides.leaving}
        yield _built(sides, index, _spare_name(sides, index), hidden, leg, "spare once more")


def replaced(sides: Sides) -> Index | None:
    """The index of the primary key, where columns in it are replaced by others of the same values."""
    held = set(sides.leaving) - set(sides.parting)
    return next((index for index in sides.table.indexes if index.primary and index.reads & held), None)


def is_proved_before_the_turn_back(sides: Sides, column: str) -> bool:
    """It is in the primary key, so that NOT NULL cannot wait until after."""
    index = replaced(sides)
    return index is not None and column in index.columns


def _required(sides: Sides) -> Iterator[rules.Rule]:
    """NOT NULL of the old columns of the key, proved while they are hidden."""
    index = replaced(sides)
    place = Place(sides.migration, sides.database, sides.relation, sides.key, _CUTOVER)
    for name in sides.leaving:
        if index is not None and name in index.columns:
            shown = f"the old {sides.relation}.{name}"
            yield rules.not_null(place, sides.hidden(name), lasting=name, subject=f"old {name}", shown=shown)


def _built(sides: Sides, index: Index, name: str, columns: Mapping[str, str], leg: Leg, what: str) -> BuildIndex:
    place = Place(sides.migration, sides.database, sides.relation, sides.key, leg)
    which = "the old columns, for the way back" if what.startswith("spare") else "the new columns"
    return BuildIndex(
        id=sides.id("key", what),
        leg=leg,
        database=sides.database,
        title=f"build an index for the primary key {index.name} over {which}",
        locks=lock(sides.relation, "SHARE UPDATE EXCLUSIVE"),
        relation=sides.relation,
        index=name,
        unique=True,
        statement=definitions.carried_index(index, name=name, columns=columns),
        undo=(drop_index(place, name, sides.id("key", what, "undo")),),
        undo_title="drop the index",
    )


def _bound(sides: Sides, key: Following, columns: Mapping[str, str], leg: Leg, what: str) -> Iterator[Ddl]:
    """columns: what the child's new columns are called then."""
    child, name = _child(sides, key, leg), _follow_name(sides, key)
    statement = definitions.carried_constraint(
        child.relation, key.constraint, name=name, columns=columns, referenced=sides.new_names("side by side")
    )
    subject, shown = f"{what}/{key.constraint.name}", f"{key.constraint.name} between the new columns"
    add, validate = rules.constrain(child, name, statement, subject=subject, shown=shown, parents=(sides.relation,))
    yield add
    if key.constraint.validated:
        yield validate


def _validated(sides: Sides, key: Following, name: str, leg: Leg, what: str) -> Iterator[Ddl]:
    child = _child(sides, key, leg)
    if key.constraint.validated:
        step_id = child.id("follow", key.constraint.name, what, "validate")
        yield rules.validate(child, name, step_id, f"check every row for {key.constraint.name}", (sides.relation,))


def _key_dropped(sides: Sides, index: Index) -> tuple[str, ...]:
    return text(sides.alter("DROP CONSTRAINT {}", index.name))


def _key_added(sides: Sides, index: Index, waiting: str) -> tuple[str, ...]:
    moment = definitions.moment_of(sides.table, index.name)
    return text(
        sides.alter("ADD CONSTRAINT {} PRIMARY KEY USING INDEX {}{}", index.name, waiting, trusted(moment)),
        *carry.told_of_index(sides.table, index, index.name),
    )


def _dropped(child: Place, name: str) -> tuple[str, ...]:
    return text(sql.SQL("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}").format(child.sql, sql.Identifier(name)))


def _locks(sides: Sides, key: Following) -> tuple[Lock, ...]:
    child = relation(key.child)
    return (*lock(child, "ACCESS EXCLUSIVE"), *lock_parents(child, (sides.relation,), "ACCESS EXCLUSIVE"))


def _child(sides: Sides, key: Following, leg: Leg = _CUTOVER) -> Place:
    return Place(sides.migration, sides.database, relation(key.child), (), leg)


def _new_name(sides: Sides, index: Index) -> str:
    return sides.own("index", index.name)


def _spare_name(sides: Sides, index: Index) -> str:
    return sides.own("spare", index.name)


def _follow_name(sides: Sides, key: Following) -> str:
    return own_name(sides.migration, "follow", str(key.child), key.constraint.name)


def _bridge_name(sides: Sides, key: Following) -> str:
    return own_name(sides.migration, "bridge", str(key.child), key.constraint.name)
