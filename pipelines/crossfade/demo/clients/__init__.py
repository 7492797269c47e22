"""The applications of the demo: instances of several versions of two services, in a process of their own."""

from crossfade.demo.clients.messages import Figures, Verdict, Version, instances
from crossfade.demo.clients.process import Clients, ClientsGone

__all__ = ["Clients", "ClientsGone", "Figures", "Verdict", "Version", "instances"]
