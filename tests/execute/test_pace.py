"""How large the next batch is."""

from __future__ import annotations

from crossfade.execute.pace import FIRST, LARGEST, SMALLEST, Pace


def settled(pace: Pace, *, seconds_a_block: float, share: float = 1.0) -> int:
    """The size once a good many batches were written, each block of which takes as long as said."""
    for _ in range(50):
        pace.took(pace.blocks * seconds_a_block, share)
    return pace.blocks


def test_batches_take_about_the_wanted_time() -> None:
    assert 80 <= settled(Pace(target=1.0), seconds_a_block=0.01) <= 120


def test_batches_take_the_share_of_it_that_the_throttle_grants() -> None:
    assert 20 <= settled(Pace(target=1.0), seconds_a_block=0.01, share=0.25) <= 30


def test_one_slow_batch_at_most_halves_the_next() -> None:
    pace = Pace(target=1.0)
    before = settled(pace, seconds_a_block=0.01)

    pace.took(100.0, 1.0)

    assert pace.blocks >= before // 2


def test_one_fast_batch_at_most_doubles_the_next() -> None:
    pace = Pace(target=1.0)

    pace.took(0.0, 1.0)

    assert pace.blocks <= 2 * FIRST


def test_however_slow_or_fast_there_is_a_smallest_and_a_largest() -> None:
    assert settled(Pace(target=1.0), seconds_a_block=100.0) == SMALLEST
    assert settled(Pace(target=1.0), seconds_a_block=0.0) == LARGEST


def test_trouble_halves_the_next() -> None:
    pace = Pace(target=1.0)

    pace.smaller()

    assert pace.blocks == FIRST // 2
