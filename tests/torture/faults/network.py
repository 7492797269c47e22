"""A network that cuts, stalls and resets connections: a TCP proxy before the server."""

from __future__ import annotations

import random
import selectors
import socket
import struct
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from tests.processes import Ending, RunnerProcess
from tests.torture.faults.fault import Fault
from tests.torture.faults.sessions import is_unanswered
from tests.torture.place import Place

if TYPE_CHECKING:
    from tests.torture.run import Run


class Network(Fault):
    """Connections of runners and writers are cut, reset or held up, all at once."""

    name = "network"
    delays_writers = True
    most = 8

    def __init__(self, dice: random.Random) -> None:
        super().__init__(dice)
        self._proxy: Proxy | None = None

    @contextmanager
    def port(self, place: Place) -> Generator[int | None]:
        with Proxy(place.port) as self._proxy:
            yield self._proxy.port

    def strike(self, run: Run, process: RunnerProcess) -> None:
        assert self._proxy is not None
        while self.left and not process.wait(self.dice.uniform(0.05, 0.4)):
            self.struck += 1
            match self.dice.choice(("cut", "reset", "stall", "stall and cut")):
                case "cut":
                    self._proxy.end_all(reset=False)
                case "reset":
                    self._proxy.end_all(reset=True)
                case "stall":
                    self._proxy.stall(self.dice.uniform(0.2, 2.5))
                case _:
                    self._proxy.stall(self.dice.uniform(0.2, 1.0))
                    self._proxy.end_all(reset=False)

    def explains(self, ending: Ending) -> bool:
        return is_unanswered(ending)

    def lift(self, run: Run) -> None:
        run.run_out_leases()


class Proxy:
    """Passes bytes between clients and a port of this machine."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._flows = threading.Event()
        self._flows.set()

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._listener.close()
        self.end_all(reset=False)

    def stall(self, seconds: float) -> None:
        """Pass nothing for a while."""
        self._flows.clear()
        time.sleep(seconds)
        self._flows.set()

    def end_all(self, *, reset: bool) -> None:
        """End all connections, with FIN or with RST to both ends; what is under way is lost."""
        for pair in [*self._pairs]:
            for end in pair:
                with suppress(OSError):
                    if reset:  # close() then sends RST
                        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(("127.0.0.1", self._target)) as server:
            pair = client, server
            self._pairs.add(pair)
            try:
                self._pump(client, server)
            finally:
                self._pairs.discard(pair)

    def _pump(self, client: socket.socket, server: socket.socket) -> None:
        with selectors.DefaultSelector() as ready:
            ready.register(client, selectors.EVENT_READ, server)
            ready.register(server, selectors.EVENT_READ, client)
            while True:
                for key, _ in ready.select():
                    self._flows.wait()
                    assert isinstance(key.fileobj, socket.socket)
                    taken = key.fileobj.recv(65536)
                    if not taken:
                        return
                    key.data.sendall(taken)
