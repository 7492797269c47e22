"""A fixed handful of runs: a kill or another fault each, over kinds of change and shapes of table.

What it stands for, and the long part, is told in docs/torture.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from tests.conftest import fast_directory
from tests.torture.faults import FAULTS
from tests.torture.kinds import KINDS
from tests.torture.place import Place
from tests.torture.run import Torture
from tests.torture.shapes import SHAPES

from crossfade.server import start_local

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def torture() -> Iterator[Torture]:
    """On a server of its own, which some of the faults kill."""
    with start_local(parent=fast_directory()) as server:
        yield Torture(Place(server))


@pytest.mark.parametrize(
    ("kind", "shape", "fault", "seed"),
    [
        ("all_at_once", "secured", "kill", 1),
        ("change_column_rules", "partitioned", "stalled-runner", 1),
        ("add_column_mapped", "camel", "network", 1),
        ("add_column_volatile", "referenced", "restarted-server", 1),
        ("add_column_plain", "partitioned", "deadlock", 3),
    ],
)
def test_rows_and_catalog_are_those_of_an_undisturbed_run(
    torture: Torture, kind: str, shape: str, fault: str, seed: int
) -> None:
    result = torture.run(KINDS[kind], SHAPES[shape], FAULTS[fault], seed)

    assert result.problems == [], result.replay
    assert result.found.disturbed > 0
    assert result.found.rows > 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system")
def test_a_disk_that_was_full_for_a_while_costs_no_row(torture: Torture) -> None:
    result = torture.run(KINDS["rename_column"], SHAPES["bigint"], FAULTS["full-disk"], 1)

    assert result.problems == [], result.replay
