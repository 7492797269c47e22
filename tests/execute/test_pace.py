"""How large the next batch is."""

from __future__ import annotations

from crossfade.execute.pace import FIRST, LARGEST, SMALLEST, Pace

ROUND_TRIPS = 0.003  # seconds that a batch takes beside its blocks


def durations(pace: Pace, *, seconds_a_block: float, share: float = 1.0) -> list[float]:
    """Of so many batches that the pace has settled."""
    found: list[float] = []
    for _ in range(50):
        found.append(ROUND_TRIPS + pace.blocks * seconds_a_block)
        pace.took(pace.blocks, found[-1], share)
    return found


def test_batches_take_about_the_wanted_time() -> None:
    assert 0.9 <= durations(Pace(target=1.0), seconds_a_block=0.001)[-1] <= 1.1


def test_none_takes_much_longer_while_their_size_is_found() -> None:
    assert max(durations(Pace(target=1.0), seconds_a_block=0.0001)) <= 1.1


def test_batches_take_the_share_of_it_that_the_throttle_grants() -> None:
    assert 0.2 <= durations(Pace(target=1.0), seconds_a_block=0.001, share=0.25)[-1] <= 0.3


def test_one_slow_batch_at_most_halves_the_next() -> None:
    pace = Pace(target=1.0)
    durations(pace, seconds_a_block=0.01)
    before = pace.blocks

    pace.took(before, 100.0, 1.0)

    assert pace.blocks >= before // 2


def test_one_fast_batch_at_most_doubles_the_next() -> None:
    pace = Pace(target=1.0)

    pace.took(FIRST, 0.0, 1.0)

    assert pace.blocks <= 2 * FIRST


def test_the_short_rest_of_a_unit_says_what_a_block_costs_too() -> None:
    pace = Pace(target=1.0)
    durations(pace, seconds_a_block=0.01)
    before = pace.blocks

    pace.took(1, 0.01, 1.0)

    assert abs(pace.blocks - before) <= 1


def test_however_slow_or_fast_there_is_a_smallest_and_a_largest() -> None:
    pace = Pace(target=1.0)

    durations(pace, seconds_a_block=100.0)
    assert pace.blocks == SMALLEST

    durations(pace, seconds_a_block=0.0)
    assert pace.blocks == LARGEST


def test_trouble_halves_the_next() -> None:
    pace = Pace(target=1.0)

    pace.smaller()

    assert pace.blocks == FIRST // 2
