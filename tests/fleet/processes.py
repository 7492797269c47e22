"""A rollout in a process of its own, which a fault may kill."""

from __future__ import annotations

import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

from tests.processes import FORKS

from crossfade.changes import CHANGES
from crossfade.execute.fleet import Rollout, take_back
from crossfade.gates import GATES
from crossfade.spec import load_project


def run(root: Path, act: str, fault: str = "") -> str:
    """How it ended in a process of its own: `complete`, `undone`, or `killed` where the fault killed it."""
    ours, theirs = FORKS.Pipe(duplex=False)
    process = FORKS.Process(target=_work, args=(root, act, os.environ | {"CROSSFADE_FAULT": fault}, theirs))
    process.start()
    theirs.close()
    process.join(120)
    if process.exitcode is None:
        process.kill()
        raise AssertionError("it did not end")
    if process.exitcode == -signal.SIGKILL:
        return "killed"
    return ours.recv() if ours.poll(0) else f"exit code {process.exitcode}"


def _work(root: Path, act: str, environment: dict[str, str], answer: Connection) -> None:
    os.environ.update(environment)
    project = load_project(root, changes=CHANGES, gates=GATES)
    if act == "up":
        answer.send(Rollout(project, project.of_fleets[0], lambda _: None).advance().ended)
    else:
        failed = take_back(project, project.of_fleets[0], lambda _: None)
        answer.send("not undone" if failed else "undone")
