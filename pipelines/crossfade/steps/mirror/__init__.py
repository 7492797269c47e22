"""A mirror: rows of two tables that stand for each other by a key, kept in step by triggers on both.

tables: what it is. written, carry, notes: its functions, in SQL. triggers: how they are installed. walks: over the rows
there were. course: its steps.
"""

from crossfade.steps.mirror.tables import Half, Mirror

__all__ = ["Half", "Mirror"]
