"""What a person took back stays so: a run that was asked for before that does not do it again."""

from __future__ import annotations

import pytest
from tests.orchestrate.orchestra import SWAP, Orchestra

from crossfade.ledger import lease
from crossfade.orchestrate import Patience

REQUESTED = {"dagster/sensor_name": "advance_migrations"}
SCHEDULED = {"dagster/schedule_name": "of_the_team"}
TRIED_AGAIN = {"dagster/retry_number": "1"}  # by Dagster, for a run whose process was gone


@pytest.mark.parametrize("tags", [REQUESTED, SCHEDULED, TRIED_AGAIN])
def test_a_run_that_no_person_started_does_not_go_on_from_where_it_was_taken_back_to(
    orchestra: Orchestra, tags: dict[str, str]
) -> None:
    orchestra.scene.spec(SWAP)
    orchestra.scene.up(through="validate")
    orchestra.scene.rollback(to="validate")

    played = orchestra.materialize("cutover", tags=tags)

    assert (played.is_green, played.materialized) == (True, [])
    assert "cutover" not in orchestra.scene.ledger().legs("m")
    (waits,) = played.observations("cutover")
    assert waits["waits for"] == "somebody to let it go on: it was taken back; materialize this to go on"


def test_nor_does_it_start_again_what_was_undone(orchestra: Orchestra) -> None:
    orchestra.scene.spec(SWAP)
    orchestra.scene.up(through="expand")
    orchestra.scene.rollback()

    orchestra.materialize("expand", tags=TRIED_AGAIN)

    assert orchestra.scene.one("SELECT state FROM crossfade.migration") == "undone"


def test_a_person_lets_it_go_on(orchestra: Orchestra) -> None:
    orchestra.scene.spec(SWAP)
    orchestra.scene.up(through="validate")
    orchestra.scene.rollback(to="validate")

    assert orchestra.materialize("cutover").materialized == ["cutover"]
    assert orchestra.materialize("retire", tags=REQUESTED).materialized == ["retire"]


@pytest.mark.parametrize("how", ["asset", "job"])
def test_what_waited_for_the_lease_of_a_rollback_does_not_undo_it(orchestra: Orchestra, how: str) -> None:
    orchestra.scene.spec(SWAP)
    orchestra.scene.up(through="validate")
    with orchestra.scene.connect() as other:
        held = lease.acquire(other, "m", "ada@host pid 7")

        class UntilTakenBack(Patience):
            def seconds(self, retry: int) -> float:
                lease.release(other, held)
                orchestra.scene.rollback(to="validate")
                return 0.05

        orchestra.patience = UntilTakenBack()
        played = orchestra.materialize("cutover") if how == "asset" else orchestra.operate("advance", reason="go")

    assert "cutover" not in orchestra.scene.ledger().legs("m")
    if how == "job":
        assert "m was taken back while this run waited to try again" in played.refusal
