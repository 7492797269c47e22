"""usage: which columns the statements of applications read or write, as far as their text and the catalog tell.

It finds use. That there is none it cannot prove: see docs/usage.md.
"""

from crossfade.usage.statement import Found, Reader
from crossfade.usage.uses import ColumnUse

__all__ = ["ColumnUse", "Found", "Reader"]
