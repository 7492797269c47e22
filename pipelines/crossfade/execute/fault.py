"""Points at which a process may die or stall, so that tests can make it do so there.

CROSSFADE_FAULT names a point and how many times it is passed before the process kills itself, e.g.
`before commit:7`, or stops until it is woken: `before commit:7:SIGSTOP`. Without it a point costs one attribute
look-up.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

Fault = Callable[[str], None]


def no_fault(_point: str) -> None:
    """Nothing happens."""


def from_environment() -> Fault:
    """The fault that CROSSFADE_FAULT asks for: a signal to this very process, as by the kernel."""
    wanted = os.environ.get("CROSSFADE_FAULT")
    if not wanted:
        return no_fault
    point, count, *named = wanted.split(":")
    number = signal.Signals[named[0]] if named else signal.SIGKILL
    left = [int(count)]

    def fault(passed: str) -> None:
        if passed == point or point == "any":
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), number)

    return fault
