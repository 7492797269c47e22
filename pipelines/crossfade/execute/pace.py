"""How large the next batch is: so that it takes about the wanted time.

As GitLab's batched background migrations do: the size follows the efficiency (wanted time over time taken) of recent
batches, smoothed and in bounded steps, so that one slow batch does not throw it off.
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
        self._efficiency = 1.0

    def took(self, seconds: float, share: float) -> None:
        """A batch of the current size took this long, and the next shall take this share of the wanted time."""
        efficiency = self._target * share / max(seconds, 0.001)
        self._efficiency = _SMOOTHING * efficiency + (1 - _SMOOTHING) * self._efficiency
        step = min(max(self._efficiency, _LOWEST_STEP), _HIGHEST_STEP)
        self.blocks = min(max(int(self.blocks * step), SMALLEST), LARGEST)

    def smaller(self) -> None:
        """A batch met trouble: half of it next."""
        self.blocks = max(self.blocks // 2, SMALLEST)
