"""A table whose rows another one takes in: each has its like there, kept in step by triggers on both.

tables: what it is. carry, notes, written: its functions, in SQL. triggers: what calls them. course: its steps.
giving_way: of unique rules. referring: of tables that refer. taking_back: the likes out of the kept table again.
"""

from crossfade.steps.absorbed.tables import Absorbed

__all__ = ["Absorbed"]
