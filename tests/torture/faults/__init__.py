"""What goes wrong: one class a fault, one fault a run."""

from tests.torture.faults.disk import FullDisk
from tests.torture.faults.fault import Fault
from tests.torture.faults.locks import Deadlock, HeldLock, HeldRows
from tests.torture.faults.network import Network
from tests.torture.faults.privilege import LostLedger, LostOwnership
from tests.torture.faults.runners import ClockJump, Kill, SecondRunner, StalledRunner
from tests.torture.faults.sessions import CancelledStatements, EndedSessions, RestartedServer

FAULTS: dict[str, type[Fault]] = {
    fault.name: fault
    for fault in (
        Kill,
        SecondRunner,
        StalledRunner,
        ClockJump,
        EndedSessions,
        CancelledStatements,
        RestartedServer,
        Network,
        HeldLock,
        HeldRows,
        Deadlock,
        FullDisk,
        LostOwnership,
        LostLedger,
    )
}

__all__ = ["FAULTS", "Fault"]
