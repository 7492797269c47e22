"""Gates: what must hold before a phase starts or ends; one file a kind, asked by the engine.

A module without a leading underscore is a kind: `soak` holds `SoakGate`.
"""

from crossfade.gates._approvers import Tally, take_in_approvals, tally
from crossfade.gates._failure import asking, is_of_the_moment
from crossfade.gates._freeze import FREEZE, FreezeGate, rests_on_others
from crossfade.gates._gate import Answer, Foresight, Gate, GateContext, GateError, GateUnanswered, ReadOnly, State
from crossfade.gates._kinds import GATES

__all__ = [
    "FREEZE",
    "GATES",
    "Answer",
    "Foresight",
    "FreezeGate",
    "Gate",
    "GateContext",
    "GateError",
    "GateUnanswered",
    "ReadOnly",
    "State",
    "Tally",
    "asking",
    "is_of_the_moment",
    "rests_on_others",
    "take_in_approvals",
    "tally",
]
