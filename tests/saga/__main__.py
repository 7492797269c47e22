"""`python -m tests.saga`: every message of a migration over three databases, disturbed in every way, then finished."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from tests.conftest import fast_directory
from tests.saga.place import NAMES, Place, Then
from tests.scene import Scene

from crossfade.server import LocalServer, create_database, drop_database, start_local

BACK = "kill the way back"
WAYS = ("kill", BACK, *(f"cut {name}" for name in NAMES))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.saga", description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="only each so-manieth message")
    every = parser.parse_args().every
    found: Counter[str] = Counter()
    wrong: list[str] = []
    began = time.monotonic()
    with start_local(parent=fast_directory()) as server:
        with _place(server) as place:
            messages = place.messages()
            undisturbed = place.look()
        for way in WAYS:
            for then in _ends_of(way):
                for message in range(1, messages + 1, every):
                    with _place(server) as place:
                        if not _disturb(place, way, message):
                            break
                        problems = [*place.half_begun(), *place.finish(then, undisturbed)]
                    found[f"{way}, then {then}"] += 1
                    wrong += [f"{way} at {message}, then {then}: {problem}" for problem in problems]
                print(f"{way}, then {then}: {found[f'{way}, then {then}']} messages, {len(wrong)} wrong", flush=True)
    took = time.monotonic() - began
    print(f"{messages} messages, {found.total()} disturbed runs in {took:.0f} s, {len(wrong)} wrong")
    print("\n".join(wrong))
    return 1 if wrong else 0


def _ends_of(way: str) -> tuple[Then, ...]:
    """What is to be possible after it; whatever is on its way back goes back, and says so when asked to go forward."""
    return ("rollback",) if way == BACK else ("up", "rollback")


def _disturb(place: Place, way: str, message: int) -> bool:
    if way == "kill":
        return place.kill(message)
    if way == BACK:
        place.scene.up(through="validate")
        place.scene.close()
        return place.kill(message, "rollback")
    return place.cut(message, way.removeprefix("cut "))


@contextmanager
def _place(server: LocalServer) -> Generator[Place]:
    with (
        tempfile.TemporaryDirectory() as root,
        psycopg.connect(server.url, autocommit=True) as administrator,
    ):
        unique = {name: f"{name}_{uuid.uuid4().hex[:12]}" for name in NAMES}
        for database in unique.values():
            create_database(administrator, database)
        urls = {name: server.database_url(database) for name, database in unique.items()}
        scene = Scene(Path(root), urls, os.environ.__setitem__)
        yield Place(scene)
        scene.close()
        for database in unique.values():
            drop_database(administrator, database)


if __name__ == "__main__":
    sys.exit(main())
