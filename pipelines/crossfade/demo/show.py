"""`crossfade demo` from start to end."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from importlib import import_module

from rich.console import Console
from rich.text import Text

from crossfade.changes import CHANGES
from crossfade.demo import dagster
from crossfade.demo.clients import Clients
from crossfade.demo.data import SERVICES, load
from crossfade.demo.onward import onward
from crossfade.demo.place import Place, open_place
from crossfade.demo.screen import Screen
from crossfade.demo.story import Story
from crossfade.demo.summary import Summary, verified
from crossfade.errors import CrossfadeError
from crossfade.gates import GATES
from crossfade.spec import load_project

_INTERRUPTED = 130  # as a shell says of a program that Ctrl-C ended


def run(console: Console, *, ui: bool = False, keep: bool = False, every: int = 1) -> int:
    """Run the demo and give the exit code: 0 when all went as it should, 130 when Ctrl-C ended it.

    ui: then serve Dagster on the same state until Ctrl-C. keep: leave project and data behind, and say where.
    every: load each n-th flight only.
    """
    try:
        screen = Screen(console)
        with ExitStack() as running:
            with screen, screen.busy("a PostgreSQL of its own starts"):
                place = running.enter_context(open_place(keep=keep or ui))
            with screen:
                summary = _show(screen, place, every=every, leave_one_waiting=ui)
            summary.print_to(console)
            port = dagster.free_port() if ui else None
            console.print(onward(place.root, kept=keep or ui, port=port))
            if port is not None:
                dagster.serve(place.root, port)
                console.print(onward(place.root, kept=True, port=None))
            return 0 if summary.is_good else 1
    except KeyboardInterrupt:
        console.print("stopped")
        return _INTERRUPTED
    except CrossfadeError as error:
        console.print(Text(str(error), "red"), soft_wrap=True)
        return error.exit_code


def _show(screen: Screen, place: Place, *, every: int, leave_one_waiting: bool) -> Summary:
    """All that is watched."""
    project = load_project(place.root, changes=CHANGES, gates=GATES)
    screen.headline(f"PostgreSQL {place.server.version // 10000} runs; two databases are loaded")
    # Importing Great Expectations takes seconds, which would else pass in front of the first gate.
    suites = threading.Thread(target=import_module, args=("crossfade.gates.expectations.run",), daemon=True)
    suites.start()
    for service in SERVICES:
        with screen.busy(f"the tables of {service}"):
            rows = load(place.urls[service], service, every=every)
        counted = sorted(rows.items(), key=lambda each: -each[1])
        screen.line(f"{service}: " + ", ".join(f"{count:,} {table}" for table, count in counted))
    with screen.busy("Great Expectations is read in"):
        suites.join()
    with Clients() as clients:
        screen.figures = lambda: clients.figures
        story = Story(place, project, clients, screen)
        story.run()
        screen.headline("What the clients wrote is compared with the rows")
        with screen.busy("reads every row that was written"):
            verdict = clients.finish()
    summary = Summary(story.courses, clients.figures, verdict, story.quiet, verified(place.urls))
    if leave_one_waiting:
        story.leave_one_waiting()
    return summary
