"""The vocabulary: one file a kind of change, and nothing else to edit when a kind is added.

A module without a leading underscore is a kind: `add_column` holds the Change `AddColumn`. Modules with an
underscore are what kinds share.
"""

from crossfade.changes._change import Change, Compiled, Hazard, Mapped, Need, Refused, Risk
from crossfade.changes._context import Arrival, Columns, Context, Extension, Facts, Probe, SequenceUse, arrivals_of
from crossfade.changes._kinds import CHANGES
from crossfade.changes._parts import plain_column
from crossfade.changes._row_use import row_use
from crossfade.changes._silence import is_silent

__all__ = [
    "CHANGES",
    "Arrival",
    "Change",
    "Columns",
    "Compiled",
    "Context",
    "Extension",
    "Facts",
    "Hazard",
    "Mapped",
    "Need",
    "Probe",
    "Refused",
    "Risk",
    "SequenceUse",
    "arrivals_of",
    "is_silent",
    "plain_column",
    "row_use",
]
