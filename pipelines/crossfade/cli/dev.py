"""crossfade dev: Dagster's user interface and daemon for this project, on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from crossfade.cli.failure import end_in_order_on_sigterm
from crossfade.cli.project import open_project
from crossfade.errors import CrossfadeError

_ENDS_WITHIN = 20.0  # seconds
# Telemetry and the sign-up dialog are off. Runs that crash are run again, never those that were refused. One run at a
# time works on a database. A run that somebody launches starts at once.
_INSTANCE = """\
telemetry:
  enabled: false
nux:
  enabled: false
run_retries:
  enabled: true
  max_retries: 3
  retry_on_asset_or_op_failure: false
concurrency:
  pools:
    default_limit: 1
    granularity: run
run_queue:
  dequeue_interval_seconds: 1
"""


def dev(
    ctx: typer.Context,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of the user interface, on 127.0.0.1.")] = 3000,
) -> None:
    """Run Dagster for this project: its user interface and its daemon, until Ctrl-C.

    The same engine runs there as in `crossfade up`, by the same ledger. Dagster's own state is in .crossfade/dagster.
    """
    project = open_project(ctx)
    workspace = project.root / "workspace.yaml"
    if not workspace.is_file():
        raise CrossfadeError(
            f"there is no {workspace.name} in {project.root}",
            why="it tells Dagster what to load",
            fix="write into it:\nload_from:\n  - python_module: crossfade.orchestrate.definitions",
        )
    home = _dagster_home(project.root)
    end_in_order_on_sigterm()
    process = subprocess.Popen(
        [sys.executable, "-m", "dagster", "dev", "-w", str(workspace), "-h", "127.0.0.1", "-p", str(port)],
        cwd=project.root,
        env=os.environ | {"DAGSTER_HOME": str(home), "CROSSFADE_PROJECT": str(project.root)},
        # A script's `crossfade dev &` ignores SIGINT, and what Dagster does with it, it does with SIGTERM.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        code = process.wait()
    except KeyboardInterrupt:
        # The terminal has told Dagster too; it ends its runs and children itself.
        process.wait()
        code = 0
    except SystemExit:
        _end(process)
        raise
    raise typer.Exit(code)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Until it has: Dagster can miss a signal while it imports."""
    while True:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_ENDS_WITHIN)
            return


def _dagster_home(root: Path) -> Path:
    home = root / ".crossfade" / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    settings = home / "dagster.yaml"
    if not settings.exists():
        settings.write_text(_INSTANCE, encoding="utf-8")
    return home
