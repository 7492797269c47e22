"""An example lived through as a team would: programs of the old and the new version, all phases."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import psycopg
import yaml
from tests.execute.writers import Writers
from tests.scene import Scene

from crossfade.spec.fragment import trusted

FOLDER = Path(__file__).parents[2] / "migration_specs" / "examples" / "migration_specs"
TABLES = """
SELECT string_agg(oid::regclass::text, ', ') FROM pg_class
 WHERE relkind IN ('r', 'p', 'm')
   AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
"""


@dataclass(frozen=True)
class Example:
    """A spec of migration_specs/examples, and the application around it.

    migration: its id. tables: a script that makes the tables, where ids run from 1 to :rows, as all texts may say.
    old, new: what programs of the two versions run all the time, each statement in a session of its own: %(id)s is the
        id of one of those rows, %(n)s a number that nobody used before, %(word)s some text.
    path: the search_path of the new version.
    new_from: the leg after which programs of the new version are started. old_until: the leg before which those of the
        old one are gone; None: they may stay for good.
    holds: queries, each of which gives true when all is done and nobody writes any more.
    """

    migration: str
    tables: str
    old: Sequence[str]
    new: Sequence[str]
    holds: Sequence[str]
    path: str = "public"
    new_from: str = "expand"
    old_until: str | None = "retire"

    def __str__(self) -> str:
        return self.migration


@dataclass(frozen=True)
class Lived:
    """What the programs met. longest: seconds of one statement."""

    statements: int
    failures: tuple[str, ...]
    longest: float


def live(scene: Scene, example: Example, rows: int) -> Lived:
    """Take the migration through every leg while the programs run, and ask what must hold in the end."""
    example = _sized(example, rows)
    scene.sql(example.tables)
    scene.sql(f"ANALYZE {scene.one(TABLES)}")  # without a name, that of the catalog costs more than these
    path = file_of(example.migration)
    for beside in path.parent.glob(f"{example.migration}*.py"):  # functions of a `python` change
        (scene.root / "migration_specs" / beside.name).write_text(beside.read_text())
    (scene.root / "migration_specs" / path.name).write_text(_without_gates(path.read_text()))
    with ExitStack() as old, ExitStack() as new:
        programs = [_started(old, scene.connect, example.old, 0, rows)]
        for leg in [str(leg) for leg in scene.runner().plan(scene.migration(example.migration)).legs]:
            if leg == example.old_until:
                old.close()
            outcome = scene.up(through=leg, id=example.migration)
            assert outcome.ended in ("reached", "complete"), outcome
            if leg == example.new_from:
                programs.append(_started(new, partial(_connected, scene, example.path), example.new, 1, rows))
        while not all(each.statements for each in programs):  # those of the last leg have only just begun
            time.sleep(0.01)
    for query in example.holds:
        assert scene.one(query) is True, query
    assert scene.own_objects() == []
    failures = tuple(failure for each in programs for failure in each.failures)
    return Lived(sum(each.statements for each in programs), failures, max(each.longest for each in programs))


def _sized(example: Example, rows: int) -> Example:
    def said(text: str) -> str:
        return text.replace(":rows", str(rows))

    old, new, holds = ([*map(said, texts)] for texts in (example.old, example.new, example.holds))
    return replace(example, tables=said(example.tables), old=old, new=new, holds=holds)


def file_of(migration: str) -> Path:
    """The example's spec."""
    (path,) = FOLDER.glob(f"*_{migration}.yaml")
    return path


def _connected(scene: Scene, path: str) -> psycopg.Connection[Any]:
    connection = scene.connect()
    connection.execute("SELECT set_config('search_path', %s, false)", (path,))
    return connection


def _started(
    stack: ExitStack, connect: Callable[[], psycopg.Connection[Any]], statements: Sequence[str], version: int, rows: int
) -> Writers:
    writes = [partial(_write, statement, rows, 2 * number + version) for number, statement in enumerate(statements)]
    return stack.enter_context(Writers(connect, *writes, pause=0.02))


def _write(
    statement: str, rows: int, series: int, connection: psycopg.Connection[Any], dice: random.Random, _number: int
) -> None:
    # Numbers that no other program, nor this one before, has taken.
    new = dice.getrandbits(40) * 64 + series + 10 * rows
    values = {"id": dice.randint(1, rows), "n": new, "word": f"Word {dice.getrandbits(32):08X}"}
    connection.execute(trusted(statement), values)


def _without_gates(text: str) -> str:
    """The spec without what only waits: for people, for a time of day, for days to pass."""
    spec = cast(dict[str, Any], yaml.safe_load(text))
    spec.pop("gates", None)
    contract = spec.get("contract", {})
    contract.pop("window", None)
    stages: list[dict[str, dict[str, Any] | None]] = contract.get("stages", [])
    for stage in stages:
        for options in filter(None, stage.values()):
            for waits in ("after", "gates"):
                options.pop(waits, None)
            if "keep" in options:  # a dropped table waits for that too
                options["keep"] = "0s"
    return yaml.safe_dump(spec, sort_keys=False)
