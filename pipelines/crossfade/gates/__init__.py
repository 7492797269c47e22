"""Gates: what must hold before a phase starts or ends; one file a kind, asked by the engine.

A module without a leading underscore is a kind: `soak` holds `SoakGate`.
"""

from crossfade.gates._gate import Answer, Gate, GateContext, GateError, ReadOnly, State
from crossfade.gates._kinds import GATES

__all__ = ["GATES", "Answer", "Gate", "GateContext", "GateError", "ReadOnly", "State"]
