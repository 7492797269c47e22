"""What the page of an asset says before anything is materialized: the plan, once there is one, and never too long."""

from __future__ import annotations

import pytest
from dagster import AssetKey
from tests.orchestrate.orchestra import SWAP, Orchestra

GATED = SWAP + "gates: {contract: [{soak: 7d}]}\n"


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crossfade.orchestrate.surveyed._WITHIN", 60.0)  # the machine may be busy


def description(orchestra: Orchestra, leg: str) -> str:
    return orchestra.definitions().resolve_asset_graph().get(AssetKey(["app", "m", leg])).description or ""


def test_a_migration_that_has_started_shows_its_plan_leg_by_leg(orchestra: Orchestra) -> None:
    orchestra.scene.spec(GATED)
    unstarted = description(orchestra, "cutover")
    orchestra.materialize("expand")
    started = description(orchestra, "cutover")

    assert started.startswith(unstarted)
    assert "swap names" not in unstarted
    assert "Starts when these hold: soak 7d." in started
    assert "10. swap names in public.items: the new name takes over  \n   ACCESS EXCLUSIVE on public.items" in started
    assert "fill new column" not in started


def test_a_stage_that_the_plan_leaves_out_says_so(orchestra: Orchestra) -> None:
    orchestra.scene.spec(GATED)
    orchestra.materialize("expand")

    assert description(orchestra, "retire").endswith("Its plan has nothing to do here.")


def test_a_long_plan_is_cut_at_a_line_and_says_where_the_rest_is(orchestra: Orchestra) -> None:
    orchestra.scene.spec("changes:\n" + "".join(f"  - sql: {{up: SELECT {n}}}\n" for n in range(40)))
    orchestra.materialize("expand")

    *_, _line, empty, last = description(orchestra, "expand").splitlines()
    assert empty == ""
    assert last == "There is more: `crossfade plan m`."
    assert len(description(orchestra, "expand")) < 3200


def test_a_migration_that_was_taken_back_shows_no_plan(orchestra: Orchestra) -> None:
    orchestra.scene.spec(GATED)
    orchestra.materialize("expand")
    orchestra.operate("roll_back", reason="wrong idea")

    assert "1. " not in description(orchestra, "expand")
