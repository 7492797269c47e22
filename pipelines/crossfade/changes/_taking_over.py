"""The cutover of a partitioned table: in one short transaction it takes the name and all that hangs on it, and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import LiteralString

from crossfade.catalog.model import ForeignKey, Name
from crossfade.changes._partitioned import Partitioned
from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps import again, carry, definitions, rules
from crossfade.steps.compose import identifier, lock, relation, text
from crossfade.steps.followers import Follower, lock_followers, made_again
from crossfade.steps.plpgsql import quoted
from crossfade.steps.rules import Place
from crossfade.steps.step import VALIDATE, AnyStep, Ddl, Leg, Lock, stage_leg
from crossfade.steps.twin import Moment, course, functions, triggers

_CUTOVER = stage_leg("cutover")
_AT_COMMIT = " DEFERRABLE INITIALLY DEFERRED"
_WAKES: dict[str, LiteralString] = {"O": "ENABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS"}

# PostgreSQL 18 calls its share in each partition after the foreign key itself: `..._1`, and so on.
_SHARES = """
DECLARE
  share name;
  free name;
  number int := 0;
BEGIN
  FOR share IN
    SELECT k.conname FROM pg_constraint AS k JOIN pg_constraint AS whole ON whole.oid = k.conparentid
     WHERE k.conrelid = {child}::regclass::oid AND whole.conrelid = k.conrelid AND whole.conname = {name}
       AND pg_catalog.starts_with(k.conname::text, pg_catalog.left({own}, 50)) ORDER BY k.oid
  LOOP
    LOOP
      number := number + 1;
      free := pg_catalog.left({name}, 57) || '_' || number::text;
      EXIT WHEN NOT EXISTS (
        SELECT FROM pg_constraint AS k WHERE k.conrelid = {child}::regclass::oid AND k.conname = free);
    END LOOP;
    EXECUTE pg_catalog.format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', {child}, share, free);
  END LOOP;
END"""


def referred_to(made: Partitioned, key: ForeignKey) -> Iterator[AnyStep]:
    """In validate: another table's foreign key to the twin as well.

    It is asked at commit until cutover: what the key's actions do to the child (ON UPDATE CASCADE) comes before the
    triggers that change the twin.
    """
    place = _of_child(made, key, VALIDATE)
    name = made.key_of_another(key.name, key.child)
    asked = replace(key, definition=_plain(key.definition) + _AT_COMMIT)
    statement = definitions.carried_constraint(place.relation, asked, name=name, columns={}, parent=made.new_relation)
    add, proof = rules.constrain(
        place,
        name,
        statement,
        subject=f"twin/{key.name}",
        shown=f"{key.name} of {key.child} in the twin",
        parents=(made.new_relation,),
    )
    yield add
    if key.validated:
        yield proof


def taken_over(made: Partitioned, keys: Sequence[ForeignKey], views: Sequence[Follower]) -> Ddl:
    """keys: of other tables, to the table; their like to the twin are there. views: that read it."""
    twin, table = made.twin, made.table
    step_id = twin.id("turn")
    return Ddl(
        id=step_id,
        leg=_CUTOVER,
        database=twin.database,
        title=f"let the partitioned table take the name {table.name}",
        locks=_locks(made, keys, views, "side by side"),
        statements=(
            *functions.all_carried(twin),
            *triggers.remove(twin),
            *text(*_forth(made, keys)),
            *made_again(views),
            *triggers.install(twin, "turned"),
        ),
        guards=course.guards(twin),
        witnessed_by=(course.parity(twin, _CUTOVER).id,),
        undo=(
            course.ask_before_turning_back(twin),
            Ddl(
                id=f"{step_id}/undo",
                leg=_CUTOVER,
                database=twin.database,
                title=f"give {table.name} its name back",
                locks=_locks(made, keys, views, "turned"),
                statements=(
                    *functions.all_carried(twin),
                    *triggers.remove(twin),
                    *text(*_back(made, keys)),
                    *made_again(views),
                    *triggers.install(twin, "side by side"),
                ),
                guards=course.guards(twin),
            ),
            *_proved_again(made, keys),
        ),
        undo_title="turn back: the table of old was kept in step",
    )


def handed_over(made: Partitioned) -> Iterator[Ddl]:
    """After the turn: sequences stay when the table of old is dropped."""
    for column, sequence in made.sequences:
        step_id = made.twin.id("sequence", sequence.name.name)
        yield Ddl(
            id=step_id,
            leg=_CUTOVER,
            database=made.twin.database,
            title=f"give the sequence {sequence.name} to the partitioned table",
            statements=text(_owned_by(sequence.name, made.table.name, column.name)),
            undo=(
                Ddl(
                    id=f"{step_id}/undo",
                    leg=_CUTOVER,
                    database=made.twin.database,
                    title=f"give the sequence {sequence.name} to the table of old",
                    statements=text(_owned_by(sequence.name, made.twin.old, column.name)),
                ),
            ),
            undo_title="give it to the table of old",
        )


def _locks(
    made: Partitioned, keys: Sequence[ForeignKey], views: Sequence[Follower], moment: Moment
) -> tuple[Lock, ...]:
    relations = [made.twin.relation, *(relation(key.child) for key in keys)]
    locked = (found for each in dict.fromkeys(relations) for found in lock(each, "ACCESS EXCLUSIVE"))
    (carried_to,) = lock(made.twin.target_relation(moment), "ACCESS EXCLUSIVE")
    return (*locked, *lock_followers(None, views), carried_to.model_copy(update={"last": True}))


def _forth(made: Partitioned, keys: Sequence[ForeignKey]) -> Iterator[sql.Composable]:
    table, twin = made.table, made.twin
    for key in keys:
        yield sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(identifier(key.child), sql.Identifier(key.name))
    yield from _triggers(made, awake=False)
    for name, coming, leaving in _renamed(made):
        yield _index(table.name, name, leaving)
        yield _index(table.name, coming, name)
    for _, sequence in made.identities:
        yield from _counting(sequence.name, made.leaving(sequence.name.name), made.coming(sequence.name.name))
    yield sql.SQL("ALTER TABLE {} RENAME TO {}").format(twin.source, sql.Identifier(twin.old.name))
    yield sql.SQL("ALTER TABLE {} RENAME TO {}").format(identifier(twin.new), sql.Identifier(table.name.name))
    yield from _triggers(made, awake=True)
    for policy in table.policies:
        yield from again.policy(table.name, policy)
    yield from _row_security(made)
    for key in keys:
        yield from _named(made, key)


def _back(made: Partitioned, keys: Sequence[ForeignKey]) -> Iterator[sql.Composable]:
    table, twin = made.table, made.twin
    for key in keys:
        own = made.key_of_another(key.name, key.child)
        yield sql.SQL("ALTER TABLE {} RENAME CONSTRAINT {} TO {}").format(
            identifier(key.child), sql.Identifier(key.name), sql.Identifier(own)
        )
        yield _checked(key, own, _AT_COMMIT)
    for policy in table.policies:
        yield sql.SQL("DROP POLICY {} ON {}").format(sql.Identifier(policy.name), twin.source)
    if table.row_security:
        yield sql.SQL("ALTER TABLE {} DISABLE ROW LEVEL SECURITY").format(twin.source)
    if table.force_row_security:
        yield sql.SQL("ALTER TABLE {} NO FORCE ROW LEVEL SECURITY").format(twin.source)
    yield from _triggers(made, awake=False)
    for name, coming, leaving in _renamed(made):
        yield _index(table.name, name, coming)
        yield _index(table.name, leaving, name)
    for _, sequence in made.identities:
        yield from _counting(sequence.name, made.coming(sequence.name.name), made.leaving(sequence.name.name))
    yield sql.SQL("ALTER TABLE {} RENAME TO {}").format(twin.source, sql.Identifier(twin.new.name))
    yield sql.SQL("ALTER TABLE {} RENAME TO {}").format(identifier(twin.old), sql.Identifier(table.name.name))
    yield from _triggers(made, awake=True)
    for key in keys:
        yield sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {} NOT VALID").format(
            identifier(key.child), sql.Identifier(key.name), trusted(key.definition.removesuffix(" NOT VALID"))
        )
        yield from _told(made, key)


def _proved_again(made: Partitioned, keys: Sequence[ForeignKey]) -> Iterator[AnyStep]:
    for key in keys:
        if key.validated:
            place = _of_child(made, key, _CUTOVER)
            title = f"check every row of {key.child} for {key.name}"
            yield rules.validate(place, key.name, place.id(key.name, "again"), title, (made.twin.relation,))


def _renamed(made: Partitioned) -> Iterator[tuple[str, str, str]]:
    """Of each index: its name, that of its like in the twin until the turn, and its own after it."""
    for index in made.indexes:
        yield index.name, made.coming(index.name), made.leaving(index.name)


def _index(table: Name, old: str, new: str) -> sql.Composable:
    return sql.SQL("ALTER INDEX {} RENAME TO {}").format(sql.Identifier(table.schema, old), sql.Identifier(new))


def _counting(name: Name, leaving: str, coming: str) -> Iterator[sql.Composable]:
    """The sequence called `coming` takes the name and counts on from there."""
    left = sql.Identifier(name.schema, leaving)
    yield sql.SQL("ALTER SEQUENCE {} RENAME TO {}").format(identifier(name), sql.Identifier(leaving))
    yield sql.SQL("ALTER SEQUENCE {} RENAME TO {}").format(
        sql.Identifier(name.schema, coming), sql.Identifier(name.name)
    )
    yield sql.SQL("SELECT pg_catalog.setval({}::regclass, last_value, is_called) FROM {}").format(
        sql.Literal(identifier(name).as_string(None)), left
    )


def _triggers(made: Partitioned, *, awake: bool) -> Iterator[sql.Composable]:
    """Users' triggers of whichever bears the name."""
    for trigger in made.table.user_triggers:
        if trigger.enabled in _WAKES:
            does = sql.SQL(_WAKES[trigger.enabled] if awake else "DISABLE")
            yield sql.SQL("ALTER TABLE {} {} TRIGGER {}").format(made.twin.source, does, sql.Identifier(trigger.name))


def _row_security(made: Partitioned) -> Iterator[sql.Composable]:
    for wanted, clause in (
        (made.table.row_security, sql.SQL("ENABLE ROW LEVEL SECURITY")),
        (made.table.force_row_security, sql.SQL("FORCE ROW LEVEL SECURITY")),
    ):
        if wanted:
            yield sql.SQL("ALTER TABLE {} {}").format(made.twin.source, clause)


def _named(made: Partitioned, key: ForeignKey) -> Iterator[sql.Composable]:
    own = made.key_of_another(key.name, key.child)
    yield sql.SQL("ALTER TABLE {} RENAME CONSTRAINT {} TO {}").format(
        identifier(key.child), sql.Identifier(own), sql.Identifier(key.name)
    )
    shares = sql.SQL(_SHARES).format(
        child=sql.Literal(identifier(key.child).as_string(None)), name=sql.Literal(key.name), own=sql.Literal(own)
    )
    yield sql.SQL("DO {}").format(quoted(shares))
    yield _checked(key, key.name, definitions.when_checked(key.definition) or " NOT DEFERRABLE")
    yield from _told(made, key)


def _checked(key: ForeignKey, name: str, when: str) -> sql.Composable:
    return sql.SQL("ALTER TABLE {} ALTER CONSTRAINT {}{}").format(
        identifier(key.child), sql.Identifier(name), trusted(when)
    )


def _plain(definition: str) -> str:
    """Without what says when it is checked."""
    for said in (" NOT VALID", " INITIALLY DEFERRED", " DEFERRABLE"):
        definition = definition.removesuffix(said)
    return definition


def _told(made: Partitioned, key: ForeignKey) -> Iterator[sql.Composable]:
    child = made.context.catalog.tables[key.child]
    for constraint in child.constraints:
        if constraint.name == key.name:
            yield from carry.told_of_constraint(identifier(key.child), constraint, key.name)


def _owned_by(sequence: Name, table: Name, column: str) -> sql.Composable:
    owner = sql.Identifier(table.schema, table.name, column)
    return sql.SQL("ALTER SEQUENCE {} OWNED BY {}").format(identifier(sequence), owner)


def _of_child(made: Partitioned, key: ForeignKey, leg: Leg) -> Place:
    child = made.context.catalog.tables[key.child]
    return Place(made.twin.migration, made.twin.database, relation(key.child), child.key, leg)
