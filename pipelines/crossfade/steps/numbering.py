"""Where a replaced column's values come from: its identity or sequences of its own, which go over to the new one."""

from __future__ import annotations

from collections.abc import Iterator

from crossfade.catalog.model import Sequence
from crossfade.catalog.parts import Identity
from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps.compose import identifier, text
from crossfade.steps.names import own_name
from crossfade.steps.privileges import grants
from crossfade.steps.rows import NewColumn, Sides
from crossfade.steps.step import Check, Ddl, stage_leg

_CUTOVER = stage_leg("cutover")
_MOST = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}


def most(type_: str) -> int | None:
    """The highest value of an integer type, None for another type."""
    return _MOST.get(type_)


def widened(sides: Sides) -> Iterator[Ddl]:
    """Before the turn: a sequence of the column's own gives what the new column can hold."""
    for column, sequence in _owned(sides):
        if sequence.type == column.type or column.type not in _MOST:
            continue
        yield Ddl(
            id=sides.id("sequence", sequence.name.name),
            leg=_CUTOVER,
            database=sides.database,
            title=f"let the sequence {sequence.name} count in {column.type}",
            statements=text(_typed(sequence, column.type)),
            undo=(
                Ddl(
                    id=sides.id("sequence", sequence.name.name, "undo"),
                    leg=_CUTOVER,
                    database=sides.database,
                    title=f"let the sequence {sequence.name} count in {sequence.type} again",
                    statements=text(_typed(sequence, sequence.type)),
                ),
            ),
            undo_title=f"count in {sequence.type} again",
        )


def handed_over(sides: Sides) -> Iterator[Ddl]:
    """After the turn: the sequence stays when the old column is dropped."""
    for column, sequence in _owned(sides):
        forth, back = (_owned_by(sides, sequence, name) for name in (column.name, sides.hidden(column.name)))
        yield Ddl(
            id=sides.id("sequence", sequence.name.name, "own"),
            leg=_CUTOVER,
            database=sides.database,
            title=f"give the sequence {sequence.name} to the new {column.name} of {sides.relation}",
            statements=text(forth),
            undo=(
                Ddl(
                    id=sides.id("sequence", sequence.name.name, "own", "undo"),
                    leg=_CUTOVER,
                    database=sides.database,
                    title=f"give the sequence {sequence.name} to the old {column.name} of {sides.relation}",
                    statements=text(back),
                ),
            ),
            undo_title="give it to the old column",
        )


def asks(sides: Sides) -> Iterator[Check]:
    """Before a turn back: no sequence has counted past what the old column holds."""
    for column in _numbered(sides):
        limit = most(sides.old_column(column.name).type)
        if limit is None:
            continue
        for sequence in column.sequences:
            words = f"sequence {sequence.name.name} past what {sides.old_column(column.name).type} holds"
            yield Check(
                id=sides.id("sequence", sequence.name.name, "ask"),
                leg=_CUTOVER,
                database=sides.database,
                title=f"ask that the sequence {sequence.name} has not counted past what the old {column.name} holds",
                query=sql.SQL("SELECT (last_value NOT BETWEEN {} AND {})::integer AS {} FROM {}")
                .format(sql.Literal(-limit - 1), sql.Literal(limit), sql.Identifier(words), identifier(sequence.name))
                .as_string(None),
                fix="where no row holds such a value, set the sequence back with setval(), then roll back again",
            )


def taken_away(sides: Sides) -> tuple[str, ...]:
    """In the turn, while the identity is the column's that leaves: what it has given out is kept, and it goes.

    Renamed first, since that keeps others from counting on until all of this is committed.
    """
    found: list[sql.Composable] = []
    for number, column in enumerate(_identities(sides)):
        sequence = column.sequences[0]
        passing = own_name(sides.migration, "passing", str(sequence.name))
        found += [
            sql.SQL("ALTER SEQUENCE {} RENAME TO {}").format(identifier(sequence.name), sql.Identifier(passing)),
            sql.SQL(
                "SELECT pg_catalog.set_config({}, pg_catalog.concat_ws(' ', last_value, is_called), true) FROM {}"
            ).format(_setting(number), sql.Identifier(sequence.name.schema, passing)),
            sides.alter("ALTER COLUMN {} DROP IDENTITY", column.name),
        ]
    return text(*found)


def given_again(sides: Sides, *, new: bool) -> tuple[str, ...]:
    """In the turn, when the other column bears the name and is NOT NULL: it counts on from there.

    new: it is the column of the new side.
    """
    found: list[sql.Composable] = []
    for number, column in enumerate(_identities(sides)):
        sequence, kind = column.sequences[0], column.identity
        assert kind is not None
        name = identifier(sequence.name)
        type_ = column.type if new else sides.old_column(column.name).type
        found += [
            sides.alter("ALTER COLUMN {} ADD {}", column.name, generated(kind, sequence, type_)),
            sql.SQL(
                "SELECT pg_catalog.setval({}::regclass, pg_catalog.split_part(kept.it, ' ', 1)::bigint,"
                " pg_catalog.split_part(kept.it, ' ', 2)::boolean)"
                " FROM (SELECT pg_catalog.current_setting({})) AS kept (it)"
            ).format(sql.Literal(name.as_string(None)), _setting(number)),
            *told_again(sequence),
        ]
    return text(*found)


def _numbered(sides: Sides) -> list[NewColumn]:
    return [column for column in sides.arriving if column.sequences]


def _identities(sides: Sides) -> list[NewColumn]:
    return [column for column in _numbered(sides) if column.identity]


def _owned(sides: Sides) -> list[tuple[NewColumn, Sequence]]:
    return [(column, each) for column in _numbered(sides) if not column.identity for each in column.sequences]


def _setting(number: int) -> sql.Literal:
    return sql.Literal(f"crossfade.counted_{number}")


def _typed(sequence: Sequence, type_: str) -> sql.Composable:
    return sql.SQL("ALTER SEQUENCE {} AS {}").format(identifier(sequence.name), trusted(type_))


def _owned_by(sides: Sides, sequence: Sequence, column: str) -> sql.Composable:
    owner = sql.Identifier(sides.relation.schema_name, sides.relation.name, column)
    return sql.SQL("ALTER SEQUENCE {} OWNED BY {}").format(identifier(sequence.name), owner)


def generated(kind: Identity, sequence: Sequence, type_: str) -> sql.Composable:
    """An identity, as behind ADD, that counts as the sequence does and under its name. type_: the column's."""
    return sql.SQL("GENERATED {} AS IDENTITY (SEQUENCE NAME {} {})").format(
        trusted(kind.upper()), identifier(sequence.name), options(sequence, type_)
    )


def told_again(sequence: Sequence) -> Iterator[sql.Composable]:
    """Grants and comment, of the one that bears its name now."""
    name = sql.SQL("SEQUENCE {}").format(identifier(sequence.name))
    yield from grants(name, of_others(sequence))
    if sequence.comment is not None:
        yield sql.SQL("COMMENT ON {} IS {}").format(name, sql.Literal(sequence.comment))


def as_it_is(sequence: Sequence) -> sql.Composable:
    """The clauses that make a sequence what this one is, all of them."""
    owned = sql.SQL("NONE")
    if sequence.owned_by is not None:
        table, column = sequence.owned_by
        owned = sql.Identifier(table.schema, table.name, column)
    plain = (
        f"AS {sequence.type} INCREMENT BY {sequence.increment} MINVALUE {sequence.minimum}"
        f" MAXVALUE {sequence.maximum} START WITH {sequence.start} CACHE {sequence.cache}"
        f" {'CYCLE' if sequence.cycle else 'NO CYCLE'}"
    )
    return sql.SQL("{} OWNED BY {}").format(trusted(plain), owned)


def options(sequence: Sequence, type_: str) -> sql.Composable:
    """As it is; limits that are those of its type become those of the other one."""
    limit = _MOST[sequence.type]
    up = sequence.increment > 0
    lowest, highest = (1, limit) if up else (-limit - 1, -1)
    parts: list[sql.Composable] = [
        sql.SQL("START WITH {} INCREMENT BY {} CACHE {}").format(
            *map(sql.Literal, (sequence.start, sequence.increment, sequence.cache))
        )
    ]
    if sequence.minimum != lowest or type_ == sequence.type:
        parts.append(sql.SQL("MINVALUE {}").format(sql.Literal(sequence.minimum)))
    if sequence.maximum != highest or type_ == sequence.type:
        parts.append(sql.SQL("MAXVALUE {}").format(sql.Literal(sequence.maximum)))
    if sequence.cycle:
        parts.append(sql.SQL("CYCLE"))
    return sql.SQL(" ").join(parts)


def of_others(sequence: Sequence) -> list[str]:
    """Who makes it has all anyway."""
    return [item for item in sequence.grants if not item.startswith((f"{sequence.owner}=", f'"{sequence.owner}"='))]
