"""Changes of one migration that undo one another's work: refused when planning, since nothing would fail later."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from crossfade.catalog.model import Catalog, Name
from crossfade.changes import Need, Refused
from crossfade.errors import Problem
from crossfade.plan.compiled import CompiledChange
from crossfade.plan.ownership import with_undo
from crossfade.plan.plan import Columns
from crossfade.spec.model import Entry
from crossfade.steps.compose import relation
from crossfade.steps.rows import Pair
from crossfade.steps.step import AnyStep

Place = tuple[str, Name, str, bool]  # database, table, column; whether it is about the key that the column is in


def refuse_doubled(compiled: Sequence[CompiledChange]) -> None:
    """Two changes that do one and the same thing."""
    seen: dict[tuple[str, str], Entry] = {}
    for change in compiled:
        for step in with_undo(change.result.steps):
            before = seen.setdefault((change.database, step.id), change.entry)
            if before is not change.entry:
                raise Refused(
                    f"this does what the change in line {before.where.line} does",
                    where=change.entry.where,
                    why=f"both would {step.title}",
                    fix="say it once",
                )


def assert_distinct(steps: Iterable[AnyStep]) -> None:
    """The ledger tells steps apart by id, those of an undo too."""
    seen: set[tuple[str, str]] = set()
    for step in with_undo(steps):
        assert (step.database, step.id) not in seen, f"two steps are called {step.id}"
        seen.add((step.database, step.id))


def refuse_mapped_anew(compiled: Sequence[CompiledChange], catalogs: Mapping[str, Catalog]) -> None:
    """Two shapes of a table that the migration itself makes."""
    for change in compiled:
        mapped = (*(table for table, _ in change.result.pairs), *(table for table, *_ in change.result.renames))
        for table in mapped:
            if table not in catalogs[change.database].tables:
                raise Refused(
                    f"{change.entry.kind} would keep two shapes of {table} in step, and this migration makes the table",
                    where=change.entry.where,
                    why="no version of the application has written it yet, so there is nothing to map",
                    fix="say the columns in create_table as they shall be",
                )


def refuse_lost(compiled: Sequence[CompiledChange], catalogs: Mapping[str, Catalog]) -> None:
    """An index or rule over a column that another change takes away: PostgreSQL drops both without a word."""
    takes = _takers(compiled)
    problems: list[Problem] = []
    for change in compiled:
        found = ((need, takes[place]) for need, place in _needs(change, catalogs) if place in takes)
        if first := next(found, None):
            problems.extend(_lost(change.entry, *first).problems)
    if problems:
        raise Refused.of(problems)


def taken_columns(compiled: Sequence[CompiledChange]) -> tuple[Columns, ...]:
    """Columns that another migration must not make anything over until they are gone."""
    return _by_table(_takers(compiled))


def needed_columns(compiled: Sequence[CompiledChange], catalogs: Mapping[str, Catalog]) -> tuple[Columns, ...]:
    """Columns that no other migration may take away meanwhile."""
    return _by_table(place for change in compiled for _, place in _needs(change, catalogs))


def _takers(compiled: Sequence[CompiledChange]) -> dict[Place, tuple[Entry, Pair | None]]:
    """With the pair that takes a column's place; none where it stays, and is the key no more."""
    found: dict[Place, tuple[Entry, Pair | None]] = {}
    for change in compiled:
        for table, column in change.result.rekeys:
            found[change.database, table, column, True] = change.entry, None
        for table, pair in change.result.pairs:
            found.update({(change.database, table, column, False): (change.entry, pair) for column in pair.old})
    return found


def _needs(change: CompiledChange, catalogs: Mapping[str, Catalog]) -> Iterator[tuple[Need, Place]]:
    for need in change.result.needs:
        for table in _with_parents(catalogs[change.database], need.table):
            yield need, (change.database, table, need.column, False)
            if need.as_key:
                yield need, (change.database, table, need.column, True)


def _by_table(places: Iterable[Place]) -> tuple[Columns, ...]:
    named: dict[tuple[str, Name, bool], set[str]] = {}
    for database, table, column, as_key in places:
        named.setdefault((database, table, as_key), set()).add(column)
    return tuple(
        Columns(database=database, relation=relation(table), names=tuple(sorted(names)), as_key=as_key)
        for (database, table, as_key), names in sorted(named.items())
    )


def refuse_taken(compiled: Sequence[CompiledChange]) -> None:
    """A change of a table whose name another change takes away: neither knows what the other calls it."""
    takes = {(change.database, table): change.entry for change in compiled for table in change.result.takes}
    problems: list[Problem] = []
    for change in compiled:
        touched = ((change.database, table) for table in _touched(change))
        taker = next((takes[place] for place in touched if takes.get(place, change.entry) is not change.entry), None)
        if taker is not None:
            refused = Refused(
                f"{change.entry.kind} is about the table of the {taker.kind} in line {taker.where.line}",
                where=change.entry.where,
                why="the table has another name from some stage of contract on",
                fix="make it two migrations, one `after` the other",
            )
            problems.extend(refused.problems)
    if problems:
        raise Refused.of(problems)


def _touched(change: CompiledChange) -> Iterator[Name]:
    """The tables that it changes or locks, but for parents of foreign keys that go."""
    yield from (table for table, _ in change.result.pairs)
    for step in change.result.steps:
        for lock in step.locks:
            if not lock.of_leaving_key:
                yield Name(lock.relation.schema_name, lock.relation.name)


def _with_parents(catalog: Catalog, name: Name | None) -> Iterator[Name]:
    """The table, and the partitioned tables above it, which take their columns away from it too."""
    while name is not None:
        yield name
        name = catalog.tables[name].partition_of if name in catalog.tables else None


def _lost(entry: Entry, need: Need, taken: tuple[Entry, Pair | None]) -> Refused:
    taker, pair = taken
    apart = "make it two migrations, one `after` the other"
    if pair is None:
        return Refused(
            f"{entry.kind} needs the key of {need.table} ({need.column}), which {taker.kind} in line {taker.where.line}"
            " replaces",
            where=entry.where,
            why="a foreign key is bound to the key that it was made with, and would keep that one from going",
            fix=apart,
        )
    if not pair.new:
        fix = f"leave one of both out, or {apart}"
    elif need.follows:
        name = pair.new[0].name
        fix = f"write this change below that one, with the column's new name {name}; or {apart}"
        if name == need.column:
            fix = f"write this change below that one: it is made over the new column then; or {apart}"
    else:
        fix = apart
    return Refused(
        f"{entry.kind} needs {need.table}.{need.column}, which {taker.kind} in line {taker.where.line} takes away",
        where=entry.where,
        why="what is made over the old column goes when that column is dropped",
        fix=fix,
    )


def refuse_overlap(table: Name, found: Sequence[tuple[Entry, Pair]]) -> None:
    """Pairs of one table that change the same column, or read one that another takes away."""
    _refuse_changed_twice(found)
    _refuse_gone(table, found)


def _refuse_changed_twice(found: Sequence[tuple[Entry, Pair]]) -> None:
    seen: dict[str, Entry] = {}
    written: dict[str, Entry] = {}
    for entry, pair in found:
        for column in pair.down if pair.new else ():
            replaced = any(column in other.old and other.new for _, other in found if other is not pair)
            if replaced or column in written:
                raise Refused(
                    f"column {column} gets its value from two changes",
                    where=entry.where,
                    why="a row could not be told which of them the new version wrote last",
                    fix=f"give `down` for {column} in one change only",
                )
            written[column] = entry
        for column in (*pair.old, *(new.name for new in pair.new if not pair.swap)):
            if column in seen:
                raise Refused(
                    f"column {column} is changed twice in one migration",
                    where=entry.where,
                    fix="say all of it in one change, or make a second migration that comes `after` this one",
                )
            seen[column] = entry


def _refuse_gone(table: Name, found: Sequence[tuple[Entry, Pair]]) -> None:
    """`down` and `check` are over the new row, which has no column that is renamed or dropped beside it."""
    gone = {name for _, pair in found if not pair.swap for name in pair.old}
    for entry, pair in found:
        kept = {new.name for new in pair.new}
        read = [("down", down, "every write of the new version would fail") for down in pair.down.values()]
        read += [("check", rule.condition, "the check would go with it") for rule in pair.checks]
        for field, expression, outcome in read:
            if lost := sorted(gone & expression.columns(table.name) - kept):
                raise Refused(
                    f"{field} reads {lost[0]}, which another change of this migration takes away",
                    where=entry.where,
                    why=f"from retire on the new row is without it, and {outcome}",
                    fix="make it two migrations, one `after` the other",
                )
