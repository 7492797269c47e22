"""Dagster on the state that the demo has left, until Ctrl-C."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

_PORT = 3000


def free_port() -> int:
    """Dagster's usual port, or another one where that is taken."""
    for port in (_PORT, 0):
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return probe.getsockname()[1]
    return _PORT


def serve(root: Path, port: int) -> int:
    """Run `crossfade dev` for the project under `root` until it ends or Ctrl-C; gives its exit code."""
    call = "from crossfade.cli import main; main()"
    command = [sys.executable, "-c", call, "--project", str(root), "dev", "--port", str(port)]
    with subprocess.Popen(command, cwd=root) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            # The terminal has told Dagster too, which ends its children itself.
            process.wait()
            return 0
        except SystemExit:
            process.terminate()
            process.wait()
            raise
