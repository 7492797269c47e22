"""Where the demo takes place: the example project, a server with a database for each service, and who approves."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import psycopg
from psycopg import sql

from crossfade.demo.data import SERVICES
from crossfade.ledger import Ledger
from crossfade.plan import Plan
from crossfade.server import LocalServer, start_local

# The member of the fleet's team who approves; the migrations themselves run as the server's superuser.
TEAM, PERSON = "team_fleet", "maria"

_PROJECT = ("databases.yaml", "workspace.yaml", "migration_specs", "validations")
# A project's own folder for what belongs to this machine; with this file in it, every crossfade command starts the
# server by itself when it does not run.
_OWN, _EMBEDDED, _DATA = ".crossfade", "embedded.yaml", "postgres"


@dataclass(frozen=True)
class Place:
    """A running server with the services' databases, empty, and the project that migrates them.

    urls: by service; they hold the password: never print them.
    """

    server: LocalServer
    urls: Mapping[str, str]
    root: Path

    def approve(self, plan: Plan) -> None:
        """Do as a person does with `crossfade approve`, logged in as herself."""
        password = secrets.token_urlsafe(16)
        with psycopg.connect(self.urls[plan.home], autocommit=True) as connection:
            team, person = sql.Identifier(TEAM), sql.Identifier(PERSON)
            for statement in (
                sql.SQL("ALTER ROLE {} PASSWORD {}").format(person, sql.Literal(password)),
                sql.SQL("GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA crossfade TO {}").format(team),
                sql.SQL("GRANT USAGE ON ALL SEQUENCES IN SCHEMA crossfade TO {}").format(team),
            ):
                connection.execute(statement)
        with psycopg.connect(self.urls[plan.home], user=PERSON, password=password, autocommit=True) as connection:
            reason = "the old versions are drained"
            Ledger(connection).approve(plan.migration, team=TEAM, plan_digest=plan.digest, reason=reason)


@contextmanager
def open_place(*, keep: bool) -> Generator[Place]:
    """Start the server, make the databases, and put their addresses where databases.yaml looks for them.

    keep: project and data stay, in a temporary directory; otherwise nothing is left, however this process ends.
    Raises ServerError.
    """
    root = _kept_project() if keep else example()
    with start_local(data_directory=root / _OWN / _DATA if keep else None) as server:
        urls = {service: server.create_database(variable(service).lower()) for service in SERVICES}
        with psycopg.connect(server.url, autocommit=True) as connection:
            team, person = sql.Identifier(TEAM), sql.Identifier(PERSON)
            connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(team))
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN IN ROLE {}").format(person, team))
            # Whoever tries the demo approves its last migration as the role of the addresses.
            connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(team))
        with _environment({variable(service): url for service, url in urls.items()}):
            yield Place(server, urls, root)


def example() -> Path:
    """The example project: in an installed package beside this file, in a checkout at its top."""
    packed = Path(__file__).parent / "example"
    return packed if packed.is_dir() else Path(__file__).parents[3]


def variable(service: str) -> str:
    """The environment variable that databases.yaml names for the service's address."""
    return f"{service.upper()}_DATABASE_URL"


def _kept_project() -> Path:
    """A copy of the example with a server of its own, in which crossfade's commands work when the demo is over."""
    root = Path(tempfile.mkdtemp(prefix="crossfade-demo-"))
    for name in _PROJECT:
        source = example() / name
        if source.is_dir():
            shutil.copytree(source, root / name)
        else:
            shutil.copy(source, root / name)
    own = root / _OWN
    own.mkdir()
    for folder in (root, own):
        folder.chmod(0o711)  # root's server runs as another account, which must be able to pass through
    lines = [f"data: {_DATA}\n", "databases:\n"]
    for service in SERVICES:
        script = f"{service}_tables.sql"
        (own / script).write_text(resources.files("crossfade.demo").joinpath("sql", script).read_text())
        lines.append(f"  {variable(service)}: {script}\n")
    (own / _EMBEDDED).write_text("".join(lines))
    return root


@contextmanager
def _environment(variables: Mapping[str, str]) -> Generator[None]:
    """These variables are set, for us and the processes we start."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
