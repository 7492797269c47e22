"""Numbers as people say them."""

from __future__ import annotations

import pytest

from crossfade.report.measures import said_bytes, said_rows, said_seconds


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 ms"),
        (0.5, "500 ms"),
        (1, "1 s"),
        (3.24, "3.2 s"),
        (12.4, "12 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (3605, "1 h"),
        (3 * 3600 + 120, "3 h 2 min"),
        (7 * 86400 - 3600, "6 d 23 h"),
    ],
)
def test_seconds(seconds: float, said: str) -> None:
    assert said_seconds(seconds) == said


@pytest.mark.parametrize(
    ("count", "said"), [(512, "512 bytes"), (8192, "8.0 kB"), (1_677_722, "1.6 MB"), (5 * 2**40, "5.0 TB")]
)
def test_bytes(count: int, said: str) -> None:
    assert said_bytes(count) == said


def test_rows_that_were_never_counted() -> None:
    assert (said_rows(-1), said_rows(20000)) == ("number not known", "20,000")
