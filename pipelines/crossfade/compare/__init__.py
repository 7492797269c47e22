"""compare: whether two tables hold the same rows, wherever each of them is, and which rows differ.

Checksums are computed where the rows are; nothing but sums, and keys of rows that differ, leaves a server.
"""

from crossfade.compare.comparing import compare
from crossfade.compare.errors import CompareFailed, Incomparable
from crossfade.compare.found import Comparison, Difference, Kind
from crossfade.compare.question import Place, Question, Side, read_place

__all__ = [
    "CompareFailed",
    "Comparison",
    "Difference",
    "Incomparable",
    "Kind",
    "Place",
    "Question",
    "Side",
    "compare",
    "read_place",
]
