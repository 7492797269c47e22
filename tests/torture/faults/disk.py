"""A full disk under the database."""

from __future__ import annotations

import os
import random
import subprocess
import tempfile
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql
from tests.processes import Ending, RunnerProcess
from tests.torture.faults.fault import Fault
from tests.torture.place import Place

if TYPE_CHECKING:
    from tests.torture.run import Run

SIZE = 48 * 2**20


class FullDisk(Fault):
    """The file system that holds the database fills up, and is emptied again. Needs root, which may mount one."""

    name = "full-disk"
    delays_writers = True
    most = 3

    def __init__(self, dice: random.Random) -> None:
        super().__init__(dice)
        self._ballast: Path | None = None

    @contextmanager
    def tablespace(self, place: Place) -> Generator[str | None]:
        name = f"small_{uuid.uuid4().hex[:12]}"
        owner = place.server.data_directory.stat()
        with tempfile.TemporaryDirectory(prefix="torture_small_") as made:
            os.chmod(made, 0o755)
            options = f"size={SIZE},uid={owner.st_uid},gid={owner.st_gid},mode=700"
            subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", made], check=True)
            try:
                with place.admin("postgres") as admin:
                    inside = Path(made, "tablespace")
                    inside.mkdir(mode=0o700)
                    os.chown(inside, owner.st_uid, owner.st_gid)
                    place_of_it = sql.Identifier(name), sql.Literal(str(inside))
                    admin.execute(sql.SQL("CREATE TABLESPACE {} LOCATION {}").format(*place_of_it))
                    self._ballast = Path(made, "ballast")
                    yield name
                    admin.execute(sql.SQL("DROP TABLESPACE {}").format(sql.Identifier(name)))
            finally:
                subprocess.run(["umount", "--lazy", made], check=True)

    def strike(self, run: Run, process: RunnerProcess) -> None:
        while self.left and not process.wait(self.dice.uniform(0.0, 0.4)):
            self.struck += 1
            self._fill()
            process.wait(self.dice.uniform(0.3, 1.5))
            self.lift(run)

    def _fill(self) -> None:
        assert self._ballast is not None
        with self._ballast.open("wb", buffering=0) as file:
            for size in (2**20, 2**12):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError:
                    continue

    def lift(self, run: Run) -> None:
        if self._ballast is not None:
            self._ballast.unlink(missing_ok=True)

    def explains(self, ending: Ending) -> bool:
        # A session that begins while there is no room may be told in words only, without an SQLSTATE.
        unwelcome = ending.error == "DatabaseUnreachable" and "could not write init file" in ending.said
        return unwelcome or (ending.error in ("ExecutionFailed", "Server") and "53100" in ending.said)

    def excuses(self, error: psycopg.Error) -> bool:
        return error.sqlstate == "53100"
