"""One migration over a fleet: its members wave by wave, each with a ledger and a frozen plan of its own.

The members' ledgers are the only state. A rollout asks them where each stands and does what is left, so killing it
anywhere loses nothing: the next one asks again.
"""

from crossfade.execute.fleet.drift import Drifted, read_drift
from crossfade.execute.fleet.members import FleetError, resolve_members
from crossfade.execute.fleet.rollout import FleetOutcome, MemberEnded, Rollout
from crossfade.execute.fleet.standing import Standing, read_standings
from crossfade.execute.fleet.taking_back import take_back

__all__ = [
    "Drifted",
    "FleetError",
    "FleetOutcome",
    "MemberEnded",
    "Rollout",
    "Standing",
    "read_drift",
    "read_standings",
    "resolve_members",
    "take_back",
]
