"""Programs beside the tests, each with all that it starts. They end with the tests, also when those are killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

# It waits until the pipe's other end is closed, by us or by the kernel when we are gone.
_GUARDIAN = 'cat >/dev/null; kill -s KILL -- "-$1" 2>/dev/null'


class ProcessGroup:
    """A command and its descendants: as a machine, or a unit of a supervisor, that is stopped or dies as a whole.

    environment: beside what this process has. log: what all of them print; nowhere without it.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        with open(log or os.devnull, "ab") as printed:
            self._leader = subprocess.Popen(
                [*command],
                cwd=folder,
                env=os.environ | (environment or {}),
                stdout=printed,
                stderr=printed,
                start_new_session=True,
                preexec_fn=heed_interrupts,
            )
        self._guardian = subprocess.Popen(
            ["sh", "-c", _GUARDIAN, "guardian", str(self._leader.pid)], stdin=subprocess.PIPE, start_new_session=True
        )

    @property
    def pid(self) -> int:
        """Of the command itself."""
        return self._leader.pid

    def holds(self, pid: int) -> bool:
        """Whether this process is one of them."""
        with suppress(ProcessLookupError):
            return os.getpgid(pid) == self._leader.pid
        return False

    def send(self, what: signal.Signals) -> None:
        """To the command and not to its descendants."""
        self._leader.send_signal(what)

    def stop(self, *, within: float = 60.0) -> None:
        """Ask the command to end, which is to end the others; kill what is left. within: seconds."""
        self._leader.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._leader.wait(within)
        self.kill()

    def stop_all(self, *, within: float = 60.0) -> None:
        """Ask each of them to end, as systemd does with a unit; kill what is left. within: seconds."""
        with suppress(ProcessLookupError):
            os.killpg(self._leader.pid, signal.SIGTERM)
        until = time.monotonic() + within
        while self._has_members() and time.monotonic() < until:
            time.sleep(0.05)
        self.kill()

    def kill(self) -> None:
        """SIGKILL for all of them, as when the machine goes."""
        self._guardian.communicate()
        self._leader.wait()

    def _has_members(self) -> bool:
        self._leader.poll()  # which would count as one until its end is asked for
        with suppress(ProcessLookupError):
            os.killpg(self._leader.pid, 0)
            return True
        return False


def heed_interrupts() -> None:
    """For a process to be interrupted: pytest in the background of a shell would hand down that SIGINT is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def held_port() -> Generator[int]:
    """A port of this machine that the kernel gives to nobody else meanwhile, and a server may listen on.

    The kernel hands out no port that another socket is bound to; a server that asks for this very one gets it, since
    both allow their address to be used again and only one listens.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
