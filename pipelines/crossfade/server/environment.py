"""A server somebody else runs: named by a URL, never stopped by us, our databases on it dropped."""

from __future__ import annotations

import psycopg
from psycopg.conninfo import conninfo_to_dict

from .errors import ServerError
from .server import Server
from .url import is_url

VARIABLE = "CROSSFADE_SERVER_URL"


class EnvironmentServer(Server):
    """A server reached by its URL; `stop` drops the databases created here and leaves it running.

    url: of a role that may create databases.

    Raises ServerError when the URL is not one, or leads nowhere.
    """

    def __init__(self, url: str) -> None:
        try:
            conninfo_to_dict(url)
            well_formed = is_url(url)
        except psycopg.ProgrammingError:
            well_formed = False
        if not well_formed:
            raise ServerError(
                f"{VARIABLE} is not a PostgreSQL URL",
                why="its value is not shown here, for it may hold a password",
                fix=f"write it as postgresql://role:password@host:5432/postgres, or unset {VARIABLE}",
            )
        self._created: set[str] = set()
        super().__init__(url, "environment")

    def create_database(self, name: str, *, template: str | None = None) -> str:
        url = super().create_database(name, template=template)
        self._created.add(name)
        return url

    def drop_database(self, name: str) -> None:
        super().drop_database(name)
        self._created.discard(name)

    def stop(self) -> None:
        for name in sorted(self._created):
            self.drop_database(name)
