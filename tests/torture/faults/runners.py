"""Runners that die, that are two, that sleep too long, or whose server's clock jumps."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from tests.processes import Ending, RunnerProcess
from tests.torture.faults.fault import Fault
from tests.torture.faults.sessions import is_unanswered

if TYPE_CHECKING:
    from tests.torture.run import Run


class Kill(Fault):
    """SIGKILL of the runner: by itself at a commit, a statement or a step, or from outside at any moment."""

    name = "kill"
    most = 16

    def __init__(self, dice: random.Random) -> None:
        super().__init__(dice)
        self._moment: float | None = None

    def arm(self) -> str:
        self._moment = None
        if not self.left:
            return ""
        self.struck += 1
        if self.dice.random() < 0.25:
            self._moment = self.dice.uniform(0.0, 0.4)
            return ""
        return f"any:{self.dice.randint(1, self.dice.choice((4, 12, 40)))}"

    def strike(self, run: Run, process: RunnerProcess) -> None:
        if self._moment is not None and not process.wait(self._moment):
            process.kill()


class SecondRunner(Fault):
    """Another runner starts while one works: one of them wins, the other is told so."""

    name = "second-runner"
    most = 6

    def strike(self, run: Run, process: RunnerProcess) -> None:
        while self.left and not process.wait(self.dice.uniform(0.0, 0.2)):
            self.struck += 1
            second = RunnerProcess(run.order_at_hand)
            process.wait(60)
            run.check_ending(second.ending())

    def explains(self, ending: Ending) -> bool:
        return ending.error == "LeaseTaken"


class StalledRunner(Fault):
    """A runner stops past the end of its lease, another one takes over, then the first wakes: it writes no more."""

    name = "stalled-runner"
    delays_writers = True
    most = 3

    def __init__(self, dice: random.Random) -> None:
        super().__init__(dice)
        self._by_itself = False
        self._woken = False

    def arm(self) -> str:
        self._by_itself = self.left and self.dice.random() < 0.7
        point = self.dice.choice(("any", "any", "before statement"))
        count = self.dice.randint(1, 30 if point == "any" else 2)
        return f"{point}:{count}:SIGSTOP" if self._by_itself else ""

    def strike(self, run: Run, process: RunnerProcess) -> None:
        self._woken = False
        if not self._stalls(process):
            return
        self.struck += 1
        run.run_out_leases()
        second = RunnerProcess(run.order_at_hand)
        if self.dice.random() < 0.7:
            second.wait(self.dice.uniform(0.0, 0.4))  # the first wakes while the second is at work
        else:
            second.wait(60)
        process.wake()
        self._woken = True
        run.check_ending(second.ending())
        process.wait(60)

    def _stalls(self, process: RunnerProcess) -> bool:
        """It stands still, by itself at a point or at any moment, before it has ended."""
        if self._by_itself:
            return process.waits_for_a_signal()
        if not self.left or process.wait(self.dice.uniform(0.05, 0.5)):
            return False
        process.stall()
        return True

    def explains(self, ending: Ending) -> bool:
        # Before it had the lease, or while it took it, it stalled in a session that has been ended since.
        lost = is_unanswered(ending) or (ending.error == "Server" and "25P03" in ending.said)
        # Refused: it stalled before it planned, and then found what the other one had made.
        return self._woken and (lost or ending.error in ("LeaseLost", "LeaseTaken", "Refused"))


class ClockJump(Fault):
    """The server's clock jumps by an hour: what was written by it, the end of a lease, is an hour off."""

    name = "clock-jump"
    most = 6

    def strike(self, run: Run, process: RunnerProcess) -> None:
        while self.left and not process.wait(self.dice.uniform(0.05, 0.3)):
            self.struck += 1
            hours = self.dice.choice((-1, 1))
            with run.admin() as admin:
                if run.has_ledger(admin):
                    jump = "UPDATE crossfade.migration SET lease_until = lease_until + make_interval(hours => %s)"
                    admin.execute(jump, (hours,))
            if self.dice.random() < 0.5:
                run.check_ending(RunnerProcess(run.order_at_hand).ending())

    def explains(self, ending: Ending) -> bool:
        return ending.error in ("LeaseLost", "LeaseTaken")

    def lift(self, run: Run) -> None:
        run.run_out_leases()
