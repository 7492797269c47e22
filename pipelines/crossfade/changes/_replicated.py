"""What of a database another one can receive by logical replication: tables, columns and sequences of the same name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

from crossfade.catalog.model import Column, Name, Table
from crossfade.changes._context import Context
from crossfade.steps.compose import relation
from crossfade.steps.step import Relation

_COLUMN_LISTS = 150000  # the server's version that brought them to publications
_MAY_SUBSCRIBE = "pg_create_subscription"  # the role that PostgreSQL 16 brought
_OURS = "crossfade"


class Staying:
    """What `without` names."""

    def __init__(self, context: Context, names: tuple[str, ...]) -> None:
        self._context = context
        self._left = dict(enumerate(names))

    def has(self, name: Name, column: str | None = None) -> bool:
        """It stays behind."""
        end = f".{column}" if column is not None else ""
        spellings = [f"{name}{end}"]
        if name.schema == self._context.schema:
            spellings.append(f"{name.name}{end}")
        return self._take(spellings)

    def has_word(self, word: str) -> bool:
        """The same of what has no name."""
        return self._take([word])

    def refuse_unknown(self) -> None:
        """What would be carried, or is not there, cannot stay behind."""
        for at, said in self._left.items():
            self._context.refuse(
                f"{said} would not stay behind: there is no such thing, or it is carried well",
                fix="leave it out; tables, `table.column` and sequences can be named",
                at=("without", at),
            )

    def _take(self, spellings: list[str]) -> bool:
        found = [at for at, said in self._left.items() if said in spellings]
        for at in found:
            del self._left[at]
        return bool(found)


def stored_columns(found: Table) -> Iterator[Column]:
    return (column for column in found.columns if column.generated is None)


def replicated_shape(context: Context) -> Iterator[str]:
    """As publishing.read_shape reads it, of the schemas in which anything is carried."""
    for found in _own_tables(context):
        for column in stored_columns(found):
            yield f"{found.name}.{column.name} {column.type}"


def _own_tables(context: Context) -> Iterator[Table]:
    """Those that rows are sent of: a partitioned table stands for its partitions."""
    for name, found in sorted(context.catalog.tables.items()):
        is_ours = name.schema == _OURS or found.extension is not None
        if not is_ours and found.partition_of is None and found.kind != "foreign" and not found.unlogged:
            yield found


def paired_tables(context: Context, there: Context, stays: Staying) -> Iterator[tuple[Table, Table, tuple[str, ...]]]:
    """Blue's table, green's, and the columns that both have."""
    for name, found in sorted(context.catalog.tables.items()):
        if name.schema == _OURS or found.extension is not None or found.partition_of is not None:
            continue
        if stays.has(name):
            continue
        if found.kind == "foreign" or found.unlogged:
            what = "a foreign table" if found.kind == "foreign" else "unlogged"
            _refuse(context, f"{name} is {what}", "its rows are not replicated", name)
        other = there.catalog.tables.get(name)
        if other is None or other.kind == "foreign":
            _refuse(context, f"{there.database} has no table {name}", f"it is one of {context.database}", name)
        if other.blocks:
            context.refuse(
                f"{name} of {there.database} has had rows",
                why=f"all rows of {context.database} are to be copied into it",
                fix=f"TRUNCATE it in {there.database}",
                at=("to",),
            )
        yield found, other, tuple(_shared(context, there, stays, found, other))


def _shared(context: Context, there: Context, stays: Staying, blue: Table, green: Table) -> Iterator[str]:
    for each, place in ((blue, context), (green, there)):
        key = next((found for found in each.constraints if found.kind == "primary_key"), None)
        if key is None or key.deferrable or each.replica_identity != "default":
            _refuse(
                context,
                f"{each.name} of {place.database} has no primary key that rows are replicated by",
                "an UPDATE or DELETE would not find its row at the other end",
                each.name,
            )
        fires = [trigger.name for trigger in each.triggers if trigger.enabled in ("A", "R")]
        if fires:
            context.refuse(
                f"trigger {fires[0]} of {each.name} in {place.database} fires for replicated rows",
                why="it would do again at one end what it did at the other",
                fix=f"ALTER TABLE {each.name} ENABLE TRIGGER {fires[0]} there",
                at=("to",),
            )
    keys = {column for each in (blue, green) for column in each.key}
    shared = [
        column.name for column in stored_columns(blue) if column.name in {other.name for other in stored_columns(green)}
    ]
    for column in stored_columns(blue):
        if column.name not in shared and (column.name in keys or not stays.has(blue.name, column.name)):
            _refuse(
                context,
                f"{blue.name} of {there.database} has no column {column.name}",
                "its values would be lost",
                blue.name,
                column.name,
            )
    for mine, others, place in ((blue, shared, context), (green, shared, there)):
        for column in stored_columns(mine):
            if column.name not in others and column.not_null and column.default is None and column.identity is None:
                context.refuse(
                    f"column {column.name} of {mine.name} in {place.database} is NOT NULL without a default",
                    why="the other database has no such column, so that no row of it could be written",
                    fix=f"give it a default in {place.database}",
                    at=("to",),
                )
            if column.name not in others and place.catalog.server.version < _COLUMN_LISTS:
                context.refuse(
                    f"{mine.name} has a column {column.name} in {place.database} only",
                    why=f"before PostgreSQL 15 a publication sends all columns, and {place.database} runs"
                    f" {place.catalog.server.version // 10000}",
                    fix="make it in the other database, too, or after the switch",
                    at=("to",),
                )
    if blue.key != green.key:
        context.refuse(
            f"the primary key of {blue.name} is ({', '.join(blue.key)}) in {context.database} and"
            f" ({', '.join(green.key)}) in {there.database}",
            why="by it a change finds its row at the other end",
            fix="replace the key after the switch: replace_key",
            at=("to",),
        )
    yield from shared


def carried_sequences(context: Context, there: Context, stays: Staying) -> Iterator[Relation]:
    for name in sorted(context.catalog.sequences):
        if name.schema == _OURS or stays.has(name):
            continue
        if name not in there.catalog.sequences:
            _refuse(context, f"{there.database} has no sequence {name}", "its numbers would begin anew", name)
        yield relation(name)


def _refuse(context: Context, what: str, why: str, name: Name, column: str | None = None) -> NoReturn:
    said = name.name if name.schema == context.schema else str(name)
    said = said if column is None else f"{said}.{column}"
    context.refuse(
        what, why=why, fix=f"make it fit in both databases; or `without: [{said}]`, if it may stay behind", at=("to",)
    )


def refuse_unable(context: Context, place: Context) -> None:
    """The server cannot take part in logical replication, or we cannot have it do so."""
    server, role = place.catalog.server, place.catalog.role
    if server.wal_level != "logical":
        context.refuse(
            f"the server of {place.database} has wal_level {server.wal_level}",
            why="logical replication needs `logical`, in both directions",
            fix="set wal_level = logical there, and restart it",
            at=("to",),
        )
    if not role.superuser and (server.version < 160000 or _MAY_SUBSCRIBE not in role.member_of):
        context.refuse(
            f"role {role.name} may not subscribe in {place.database}",
            why="a subscription takes a superuser, or from PostgreSQL 16 on a member of pg_create_subscription",
            fix=f"GRANT {_MAY_SUBSCRIBE} TO {role.name}" if server.version >= 160000 else "act as a superuser there",
            at=("to",),
        )
