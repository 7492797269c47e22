"""The process of the clients: obeys commands on its input, tells figures on its output, ends with its input.

A process of its own, as services are: what it measures is the database's doing and not that of our own Python.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import defaultdict

from crossfade.demo.clients.compare import compare
from crossfade.demo.clients.instance import Instance
from crossfade.demo.clients.messages import Command, Told, Version
from crossfade.demo.clients.session import Gauge

_TELL_EVERY = 0.25  # seconds


class Clients:
    """All instances of all services, running and ended."""

    def __init__(self, urls: dict[str, str]) -> None:
        self._urls = urls
        self._gauge = Gauge()
        self._running: defaultdict[Version, list[Instance]] = defaultdict(list)
        self._ended: list[Instance] = []
        self._slots: defaultdict[str, int] = defaultdict(int)
        self._telling = threading.Lock()
        self._done = threading.Event()
        self._teller = threading.Thread(target=self._tell_figures, name="teller", daemon=True)
        self._teller.start()

    def obey(self, command: Command) -> None:
        if command.deploy is not None:
            self._deploy(command.deploy)
            self._tell(Told(deployed=command.deploy))
        if command.drain is not None:
            self._drain(command.drain)
            self._tell(Told(drained=command.drain))
        if command.finish:
            self.end()
            verdict = compare(self._ended, self._urls)
            self._tell(Told(figures=self._gauge.figures(()), verdict=verdict))

    def end(self) -> None:
        """End all instances."""
        for version in [*self._running]:
            self._drain(version)
        self._done.set()
        self._teller.join()

    def _deploy(self, version: Version) -> None:
        for _ in range(version.instances):
            slot = self._slots[version.service]
            self._slots[version.service] += 1
            self._running[version].append(Instance(self._urls[version.service], version, slot, self._gauge))

    def _drain(self, version: Version) -> None:
        instances = self._running.pop(version, [])
        for instance in instances:
            instance.stop()
        self._ended += instances

    def _tell_figures(self) -> None:
        while not self._done.wait(_TELL_EVERY):
            self._tell(Told(figures=self._gauge.figures(tuple(self._running))))

    def _tell(self, told: Told) -> None:
        with self._telling:
            sys.stdout.write(told.model_dump_json(exclude_none=True) + "\n")
            sys.stdout.flush()


def main() -> None:
    clients = Clients({name: os.environ[f"{name.upper()}_DATABASE_URL"] for name in ("flights", "fleet")})
    for line in sys.stdin:
        clients.obey(Command.model_validate_json(line))
    clients.end()


main()
