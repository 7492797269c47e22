"""A primary key that another one replaces, and the foreign keys that point at it.

tables: what it is. lookup: how one key is found by the other. course: the steps of the table. referring: those of the
tables that refer to it.
"""

from crossfade.steps.rekey.tables import Referring, Rekeyed

__all__ = ["Referring", "Rekeyed"]
