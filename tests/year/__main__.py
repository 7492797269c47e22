"""`python -m tests.year`: lives through a year of migrations and prints what it found; a seed replays it."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from dagster import DagsterInstance
from tests.conftest import fast_directory
from tests.year.drawn import DATABASES, draw
from tests.year.life import Year

from crossfade.server import start_local


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.year", description=__doc__)
    parser.add_argument("--migrations", type=int, default=500, help="how many; default: 500")
    parser.add_argument("--seed", type=int, default=0, help="of all dice; default: 0")
    asked = parser.parse_args()
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as root,
        start_local(parent=fast_directory()) as server,
        DagsterInstance.ephemeral() as instance,  # pyright: ignore[reportUnknownMemberType]  # Dagster's dict
    ):
        urls = {name: server.create_database(name) for name in DATABASES}
        year = Year(Path(root), urls, draw(asked.migrations, asked.seed), asked.seed)
        try:
            found = year.live(instance)
        finally:
            year.close()
    print(", ".join(f"{count:,} {what}" for what, count in found.counts.items()), end="")
    print(f", {time.monotonic() - began:.0f} s")
    print("\n".join(found.problems) or "nothing wrong")
    return 1 if found.problems else 0


if __name__ == "__main__":
    sys.exit(main())
