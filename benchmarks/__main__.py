"""Run benchmarks, print a table of ratios, write JSON and a picture: `make bench ARGS="--rows 10000000 bigint"`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import backfill, cancel, clients, compare, definitions, fleets, live, small, suites, switch
from benchmarks.chart import draw
from benchmarks.measured import Group, said
from benchmarks.place import SETTINGS, server
from crossfade.server import LocalServer

RESULTS = Path(__file__).parent / "results"
Bench = Callable[[LocalServer, int, int], Iterator[Group]]
BENCHES: dict[str, Bench] = {
    "small": lambda on, _rows, runs: small.whole_migration(on, runs),
    "steps": lambda on, _rows, runs: small.step_overhead(on, runs),
    "trigger": lambda on, _rows, runs: clients.trigger_cost(on, runs),
    "clients": clients.beside_clients,
    "blocked": lambda on, _rows, _runs: live.blocked(on),
    "live": lambda on, rows, _runs: live.live(on, rows),
    "bloat": lambda on, rows, _runs: clients.bloat(on, rows),
    "memory": lambda on, rows, _runs: small.memory(on, rows),
    **{shape: partial(backfill.against_update, shape) for shape in backfill.SHAPES},
    "beside": backfill.beside_pgbench,
    "flat": backfill.flat,
    "cancel": lambda on, _rows, runs: cancel.cancelling(on, runs),
    "fleet": lambda on, _rows, _runs: fleets.whole_fleet(on),
    "load": lambda on, _rows, runs: definitions.loading(on, runs),
    "suite": suites.ten_expectations,
    "compare": compare.comparing,
    "switch": lambda _on, rows, runs: switch.switching(rows, runs),
    "tick": lambda on, _rows, runs: definitions.ticking(on, runs),
    "script": lambda on, _rows, runs: backfill.against_script(on, runs),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}; all by default")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(BENCHES):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    console = Console()
    found: list[Group] = []
    began, load = time.monotonic(), os.getloadavg()[0]
    with server() as on:
        machine = {
            "cores": os.cpu_count(),
            "machine": platform.machine(),
            "python": platform.python_version(),
            "postgresql": f"{on.version // 10000}.{on.version % 10000}",
            "settings": SETTINGS,
            "load at the start": load,
        }
        console.print(f"{machine['cores']} cores, PostgreSQL {machine['postgresql']}, load {load:.1f} at the start")
        for name, bench in BENCHES.items():
            if not asked.names or name in asked.names:
                for group in bench(on, asked.rows, asked.runs):
                    found.append(group)
                    console.print(as_table(group))
    RESULTS.mkdir(exist_ok=True)
    stem = RESULTS / f"{'-'.join(asked.names) or 'all'}-{asked.rows}"
    stem.with_suffix(".json").write_text(
        json.dumps(
            {
                "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "machine": machine,
                "runs": asked.runs,
                "groups": [group.as_json() for group in found],
            },
            indent=2,
        )
        + "\n"
    )
    stem.with_suffix(".svg").write_text(draw(found))
    console.print(f"{time.monotonic() - began:.0f} s; written: {stem}.json and .svg")


def as_table(group: Group) -> Table:
    table = Table(title=group.title, title_justify="left", box=None, pad_edge=False)
    for column in ("", group.unit, "least", "most", "ratio", "target", ""):
        table.add_column(column, justify="left" if not column else "right")
    for way in group.ways:
        table.add_row(
            way.name,
            said(way.median),
            said(min(way.runs)),
            said(max(way.runs)),
            f"{group.ratio(way):.2f}" if group.compared else "",
            "" if way.target is None else f"{way.target:g}",
            {None: "", True: "met", False: "missed"}[group.met(way)],
        )
    for note, value in group.notes.items():
        table.add_row(note, str(value))
    return table


if __name__ == "__main__":
    main()
