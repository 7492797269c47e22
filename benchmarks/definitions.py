"""What Dagster's definitions of many migrations cost: to load, and to look at in a tick of the sensor."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator

from benchmarks.many import CLOSED, SOAK, TABLE, bring_to_contract, complete, many
from benchmarks.measured import Group, Way
from benchmarks.place import fresh, prepare
from crossfade.server import LocalServer

COUNTS = (10, 100, 1000)
_IN_WORK = 0.1  # of the migrations; the others are complete

# What a code location does before it shows anything: imports, definitions, and what it sends to the webserver.
_LOAD = """
import json, resource, sys, time
from pathlib import Path
began = time.monotonic()
from dagster import AssetSpec, Definitions
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster._serdes import serialize_value
from crossfade.orchestrate import build_definitions
if sys.argv[1] == "bare":
    definitions = Definitions([AssetSpec(["app", f"m{n}"]) for n in range(int(sys.argv[2]))])
else:
    definitions = build_definitions(Path(sys.argv[2]))
sent = serialize_value(RepositorySnap.from_def(definitions.get_repository_def()))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"seconds": time.monotonic() - began, "MB": peak}))
"""


def loading(server: LocalServer, runs: int) -> Iterator[Group]:
    """Processes that load the definitions of projects, nine tenths of whose migrations are complete."""
    prepare(server, "empty", TABLE)
    for count in COUNTS:
        bare = [_load("bare", str(count)) for _ in range(runs)]
        url = fresh(server, "empty")
        with many(url, count) as project:
            bring_to_contract(url, project)
            none = [_load("ours", str(project.root)) for _ in range(runs)]
            complete(url, project.migrations[int(count * _IN_WORK) :])
            most = [_load("ours", str(project.root)) for _ in range(runs)]
        for unit, target in (("seconds", 10.0), ("MB", 500.0)):
            yield Group(
                f"definitions of {count:,} migrations",
                unit,
                (
                    Way(f"{count:,} bare assets of Dagster's own", _of(bare, unit)),
                    Way("migrations, nine tenths of them complete", _of(most, unit), target),
                    Way("migrations, none of them complete", _of(none, unit)),
                ),
                better="lower",
                compared=False,
            )
    server.drop_database("empty")


def ticking(server: LocalServer, runs: int) -> Iterator[Group]:
    """A tick of the sensor over 1,000 migrations that wait before contract."""
    from dagster import DagsterInstance, build_sensor_context

    from crossfade.orchestrate import build_definitions

    prepare(server, "empty", TABLE)
    ways: list[Way] = []
    count = COUNTS[-1]
    for name, gate in (("a time to come", SOAK), ("a query that must be asked", CLOSED)):
        url = fresh(server, "empty")
        with many(url, count, gate=gate) as project, DagsterInstance.local_temp() as instance:
            bring_to_contract(url, project)
            definitions = build_definitions(project.root)
            sensor = definitions.get_repository_def().get_sensor_def("advance_migrations")
            cursor: str | None = None
            seconds: list[float] = []
            for _ in range(runs + 1):
                began = time.monotonic()
                context = build_sensor_context(instance=instance, definitions=definitions, cursor=cursor)
                cursor = sensor.evaluate_tick(context).cursor
                seconds.append(time.monotonic() - began)
            ways += [Way(f"{name}, first tick", (seconds[0],), 2.0), Way(f"{name}, later", tuple(seconds[1:]), 2.0)]
    server.drop_database("empty")
    yield Group(f"a tick over {count:,} migrations that wait for", "s", tuple(ways), better="lower", compared=False)


def _load(*arguments: str) -> dict[str, float]:
    done = subprocess.run([sys.executable, "-c", _LOAD, *arguments], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _of(measured: list[dict[str, float]], unit: str) -> tuple[float, ...]:
    return tuple(each[unit] for each in measured)
