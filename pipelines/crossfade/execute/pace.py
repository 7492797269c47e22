"""How large the next batch is: so that it takes about the wanted time.

What a block costs is averaged over recent batches, with more weight on the latest, and a batch is at most twice and
at least half as large as the one before, so that one slow batch does not throw it off. Efficiency (wanted time over
time taken), which GitLab's batched background migrations average, would remember the small first batches and go on
growing well past the wanted time.
"""

from __future__ import annotations

FIRST, SMALLEST, LARGEST = 8, 1, 16384  # blocks of 8 kB; `up` may be slow, so the first batch is a probe
_SMOOTHING = 0.5
_LOWEST_STEP, _HIGHEST_STEP = 0.5, 2.0


class Pace:
    """The size of a worker's batches, in blocks."""

    def __init__(self, target: float) -> None:
        self.blocks = FIRST
        self._target = target
        self._block: float | None = None  # seconds that one takes

    def took(self, blocks: int, seconds: float, share: float) -> None:
        """A batch of so many blocks took this long, and the next shall take this share of the wanted time."""
        latest = max(seconds, 0.001) / blocks
        self._block = latest if self._block is None else _SMOOTHING * latest + (1 - _SMOOTHING) * self._block
        step = min(max(self._target * share / self._block / self.blocks, _LOWEST_STEP), _HIGHEST_STEP)
        self.blocks = min(max(round(self.blocks * step), SMALLEST), LARGEST)

    def smaller(self) -> None:
        """A batch met trouble: half of it next."""
        self.blocks = max(self.blocks // 2, SMALLEST)
