"""The coordinator of a fleet is killed at any commit, in any wave, and run again: nothing is lost or done twice."""

from __future__ import annotations

import pytest
from tests.fleet.conftest import NAMES, FleetScene
from tests.fleet.processes import run


def run_out_leases(fleet: FleetScene) -> None:
    """As time does: the dead runners' leases end."""
    for name in NAMES:
        if fleet.scene.one("SELECT to_regclass('crossfade.migration') IS NOT NULL", name):
            fleet.scene.sql("UPDATE crossfade.migration SET lease_until = now() - interval '1s'", name)


@pytest.mark.slow
@pytest.mark.parametrize("point", ["before commit", "after commit"])
def test_a_coordinator_killed_again_and_again_ends_as_an_undisturbed_one(fleet: FleetScene, point: str) -> None:
    fleet.fleet("waves: [{name: canary, members: [acme]}, {name: rest}]\nmax_parallel: 2", names=NAMES[:3])
    ended: list[str] = []

    for count in (2, 9, 11, 13):
        ended.append(run(fleet.root, "up", f"{point}:{count}"))
        run_out_leases(fleet)

    assert ended.count("killed") >= 3
    assert run(fleet.root, "up") == "complete"
    assert set(fleet.states().values()) == {"complete"}
    for name in NAMES[:3]:
        rows = "SELECT count(*), count(*) FILTER (WHERE email = format('user%s@example.com', id)) FROM users"
        assert fleet.scene.sql(rows, name) == [(20, 20)]


@pytest.mark.slow
def test_a_way_back_that_is_killed_is_finished_by_the_next(fleet: FleetScene) -> None:
    fleet.fleet(names=NAMES[:2])
    before = [fleet.scene.schema(name) for name in NAMES[:2]]
    fleet.up("validate")

    assert run(fleet.root, "rollback", "before commit:5") == "killed"
    run_out_leases(fleet)

    assert run(fleet.root, "rollback") == "undone"
    assert [fleet.scene.schema(name) for name in NAMES[:2]] == before
