"""A project: the databases and the migration specs under one root, checked against each other, in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from heapq import heappop, heappush
from itertools import chain
from pathlib import Path
from typing import cast

from crossfade.errors import CrossfadeError, Position, Problem
from crossfade.spec.applications import application_problems
from crossfade.spec.approvals import Issuer, unknown_issuer
from crossfade.spec.awaited import awaited_problems, without_vain_waits
from crossfade.spec.databases import FILE, Database, databases_in
from crossfade.spec.document import read_document
from crossfade.spec.errors import SpecError, did_you_mean
from crossfade.spec.fleets import Fleet, Member, fleets_in, without_mixed_up
from crossfade.spec.kinds import Kinds
from crossfade.spec.load import load_migration
from crossfade.spec.model import Entry, Migration
from crossfade.spec.settings import FILE as SETTINGS_FILE
from crossfade.spec.settings import Settings, load_settings

SPECS = "migration_specs"


class ProjectNotFoundError(CrossfadeError):
    """No crossfade project here or in any folder above."""


@dataclass(frozen=True)
class Project:
    """What is under one root.

    migrations: in the order they may run: after what they name in `after`, else by file name.
    broken: the refusals of specs that were left out; empty unless they were asked to be left out.
    of_fleets: the migrations of fleets, in the same order; they come after all they name in `after`, too.
    """

    root: Path
    databases: Mapping[str, Database]
    migrations: tuple[Migration, ...]
    broken: tuple[SpecError, ...] = ()
    settings: Settings = field(default_factory=Settings)
    fleets: Mapping[str, Fleet] = field(default_factory=dict[str, Fleet])
    of_fleets: tuple[Migration, ...] = ()

    def of_member(self, fleet: Fleet, member: Member) -> Project:
        """The project as one member of a fleet sees it: there the fleet's name stands for that member's database."""
        mine = tuple(each for each in self.of_fleets if each.head.database == fleet.name)
        return replace(
            self,
            databases={**self.databases, fleet.name: member.database},
            migrations=(*self.migrations, *mine),
            fleets={},
            of_fleets=(),
        )


def find_root(start: Path) -> Path:
    """The nearest folder with a databases.yaml, from `start` upward; raises ProjectNotFoundError."""
    here = start.resolve()
    for folder in (here, *here.parents):
        if (folder / FILE).is_file():
            return folder
    raise ProjectNotFoundError(
        f"there is no crossfade project in {start} or above",
        why=f"a project is a folder with a {FILE}",
        fix="run `crossfade init` to begin one, or change to the project's folder",
    )


def load_project(start: Path, *, changes: Kinds, gates: Kinds, strict: bool = True) -> Project:
    """Load the project that `start` lies in.

    strict: raise one SpecError with the problems of all specs; otherwise leave out the specs that are wrong
    and give their refusals as `broken`. A databases.yaml or crossfade.yaml that cannot be read is always raised.
    """
    root = find_root(start)
    document = read_document(root / FILE)
    databases = databases_in(document)
    fleets = fleets_in(document, databases, gates)
    names = {*databases, *fleets}
    settings = load_settings(root / SETTINGS_FILE, names)
    loaded: list[Migration] = []
    broken: list[SpecError] = []
    for path in spec_files(root / SPECS):
        try:
            if path.suffix == ".yml":
                raise SpecError("a migration spec's name ends in .yaml", where=Position(path), fix="rename the file")
            loaded.append(load_migration(path, changes=changes, gates=gates))
        except SpecError as error:
            broken.append(error)
    taken = {migration.id for migration in loaded} | {error.migration for error in broken if error.migration}
    # Each check leaves out what it refuses, so that the next one is not confused by it.
    sound, refused = _without_shared_ids(loaded)
    broken += refused
    sound, refused = _without_unknown_names(sound, taken, names, settings.issuers)
    broken += refused
    sound, refused = without_mixed_up(sound, fleets)
    broken += refused
    ordered, refused = _in_order(sound)
    broken += refused
    ordered, refused = without_vain_waits(ordered)
    broken += refused
    if broken and strict:
        raise SpecError.sorted(problem for error in broken for problem in error.problems)
    of_fleets = tuple(each for each in ordered if each.head.database in fleets)
    ordered = tuple(each for each in ordered if each.head.database not in fleets)
    return Project(root, databases, ordered, tuple(broken), settings, fleets, of_fleets)


def spec_files(folder: Path) -> list[Path]:
    """Every spec, by file name; names that begin with a dot are editors' and the system's.

    A folder with a databases.yaml of its own is another project.
    """
    others = [found.parent for found in folder.rglob(FILE)]
    files = [
        path
        for path in folder.rglob("*")
        if path.suffix in {".yaml", ".yml"}
        and not path.is_dir()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and not any(path.is_relative_to(other) for other in others)
    ]
    return sorted(files, key=_file_order)


def _file_order(path: Path) -> tuple[str, Path]:
    return path.name, path


def _without_shared_ids(migrations: Sequence[Migration]) -> tuple[list[Migration], list[SpecError]]:
    by_id: defaultdict[str, list[Migration]] = defaultdict(list)
    for migration in migrations:
        by_id[migration.id].append(migration)
    refused = [
        SpecError.of(
            Problem(
                f"the id `{shared}` is taken: {first.position('migration')} has it too",
                other.position("migration"),
                "the ledger knows a migration by its id, so which of them has run could not be told",
                "give the newer one another id",
            )
            for other in others
        )
        for shared, (first, *others) in by_id.items()
        if others
    ]
    return [group[0] for group in by_id.values() if len(group) == 1], refused


def _without_unknown_names(
    migrations: Sequence[Migration], ids: Collection[str], databases: Collection[str], issuers: Mapping[str, Issuer]
) -> tuple[list[Migration], list[SpecError]]:
    sound: list[Migration] = []
    refused: list[SpecError] = []
    for migration in migrations:
        problems = [*_unknown_names(migration, ids, databases), *_unknown_issuers(migration, issuers)]
        if problems:
            refused.append(SpecError.sorted(problems))
        else:
            sound.append(migration)
    return sound, refused


def _unknown_names(migration: Migration, ids: Collection[str], databases: Collection[str]) -> Iterator[Problem]:
    for index, awaited in enumerate(migration.head.after):
        if awaited not in ids:
            yield Problem(
                f"`after` names `{awaited}`, which is no migration here",
                migration.position("after", index),
                "it would be waited for without end",
                did_you_mean(awaited, ids),
            )
    yield from awaited_problems(migration, ids)
    named = [(migration.head.database, migration.position("database"))]
    for index, change in enumerate(migration.changes):
        if (elsewhere := _elsewhere(change)) is not None:
            named.append((elsewhere, migration.position("changes", index, change.kind, "database")))
        if (beside := _elsewhere(change, "to")) is not None:
            named.append((beside, migration.position("changes", index, change.kind, "to", "database")))
    changed = [name for name, _ in named]
    places = [migration.position("applications", index) for index in range(len(migration.head.applications))]
    yield from application_problems(list(zip(migration.head.applications, places, strict=True)), changed)
    gates = chain.from_iterable(migration.gates.values())
    named.extend((elsewhere, gate.where) for gate in gates if (elsewhere := _elsewhere(gate)) is not None)
    for database, where in named:
        if database not in databases:
            yield Problem(
                f"`{database}` is no database of this project",
                where,
                f"databases are named in {FILE}",
                did_you_mean(database, databases),
            )


def _unknown_issuers(migration: Migration, issuers: Mapping[str, Issuer]) -> Iterator[Problem]:
    rule = migration.head.override
    named = [(rule.from_, migration.position("override", "from"))] if rule is not None else []
    for gate in chain.from_iterable(migration.gates.values()):
        # By convention of the language, a gate that waits for people says so in its `team`.
        team: object = getattr(gate.body, "team", None)
        named += [(team, gate.where)] if isinstance(team, str) else []
    for team, where in named:
        if (what := unknown_issuer(team, issuers)) is not None:
            fix = f"name it in {SETTINGS_FILE}, under `issuers`, or correct it"
            yield Problem(what, where, "nobody could approve", fix)


def _elsewhere(entry: Entry, *path: str) -> str | None:
    """By convention of the language, a change or gate that may run elsewhere says so in its `database`.

    path: to the mapping that has it, where that is not the change's own.
    """
    mapping: object = entry.body
    for key in path:
        mapping = getattr(mapping, key, None)
    database: object = getattr(mapping, "database", None)
    return database if isinstance(database, str) else None


def _in_order(migrations: Sequence[Migration]) -> tuple[tuple[Migration, ...], list[SpecError]]:
    """By `after`, then by file name; without the migrations that wait for each other in a circle."""
    by_id = {migration.id: migration for migration in migrations}
    refused: list[SpecError] = []
    while True:
        sorter = TopologicalSorter(
            {each.id: [name for name in each.head.after if name in by_id] for each in by_id.values()}
        )
        try:
            sorter.prepare()
        except CycleError as error:
            circle = cast(list[str], error.args[1])
            refused.append(_circle([by_id[name] for name in circle]))
            for name in set(circle):
                del by_id[name]
        else:
            return tuple(_sorted(sorter, by_id)), refused


def _sorted(sorter: TopologicalSorter[str], by_id: Mapping[str, Migration]) -> Iterator[Migration]:
    ready: list[tuple[tuple[str, Path], str]] = []
    while sorter.is_active():
        for name in sorter.get_ready():
            heappush(ready, (_file_order(by_id[name].path), name))
        _, name = heappop(ready)
        sorter.done(name)
        yield by_id[name]


def _circle(circle: Sequence[Migration]) -> SpecError:
    """The circle as graphlib tells it: each waits for the one before it, and the last is the first."""
    waits = [*reversed(circle)]
    steps = " → ".join(f"`{migration.id}` ({migration.path.name})" for migration in waits)
    first, second = waits[0], waits[1]
    return SpecError(
        f"migrations wait for each other: {steps}",
        where=first.position("after", first.head.after.index(second.id)),
        why="none of them could ever begin; each arrow is an `after`",
        fix="take one of these names out of its `after`",
    )
