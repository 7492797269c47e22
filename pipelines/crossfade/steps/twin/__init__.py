"""A twin: a table made otherwise that holds the rows of another, whole, and takes its place and name.

tables: what it is. functions: what carries a row. triggers: how they are installed. course: its steps.
"""

from crossfade.steps.twin.tables import Moment, Twin

__all__ = ["Moment", "Twin"]
