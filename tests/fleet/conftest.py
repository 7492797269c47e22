"""A fleet of real databases, made alike, and a migration over it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from tests.conftest import Databases
from tests.scene import Scene

from crossfade.changes import CHANGES
from crossfade.errors import CrossfadeError
from crossfade.execute.fleet import FleetOutcome, MemberEnded, Rollout, Standing, read_standings, resolve_members
from crossfade.gates import GATES
from crossfade.server import Server
from crossfade.spec import Project, load_project
from crossfade.spec.fragment import trusted

NAMES = ("acme", "bravo", "coral", "delta")
TABLE = """
CREATE TABLE users (id bigint PRIMARY KEY, email text);
INSERT INTO users SELECT n, format('User%s@Example.com', n) FROM generate_series(1, 20) AS n
"""
LOWER = """
changes:
  - change_column: {table: users, column: email, to: {nullable: false}, up: lower(email), down: email}
contract: {stages: [retire: {}]}
"""
WAVES = "waves: [{name: canary, members: [acme]}, {name: second, share: 20%}, {name: rest}]"


class FleetScene:
    """A project with the database `control` and the fleet `tenants`, of which each member has one table `users`.

    said: what databases.yaml says of the fleet beside `url` and `each`.
    """

    def __init__(self, root: Path, databases: Databases, server: Server, setenv: Callable[[str, str], None]) -> None:
        self.root = root
        self.heard: list[MemberEnded] = []
        control, *urls = databases("control", *NAMES)
        self.scene = Scene(root, {"control": control} | dict(zip(NAMES, urls, strict=True)), setenv)
        setenv("TENANTS_URL", server.url)
        for name in NAMES:
            self.scene.sql(TABLE, name)
        self.spec(LOWER)
        self.fleet(WAVES)

    def fleet(self, said: str = "", *, names: tuple[str, ...] = NAMES, each: str | None = None) -> None:
        """Write databases.yaml."""
        listed = ", ".join(f"{{name: {name}, database: {self.database(name)}}}" for name in names)
        lines = ["control: {url: env:CONTROL_URL}", "tenants:", "  url: env:TENANTS_URL"]
        lines += [f"  each: {each or f'{{members: [{listed}]}}'}", *(f"  {line}" for line in said.splitlines())]
        (self.root / "databases.yaml").write_text("\n".join(lines) + "\n")

    def database(self, name: str) -> str:
        return str(conninfo_to_dict(self.scene.urls[name])["dbname"])

    def spec(self, body: str) -> None:
        self.scene.spec(body, database="tenants")

    def project(self) -> Project:
        return load_project(self.root, changes=CHANGES, gates=GATES)

    def up(self, through: str | None = None) -> FleetOutcome:
        project = self.project()
        return Rollout(project, project.of_fleets[0], self.heard.append).advance(through)

    def standings(self) -> dict[str, Standing]:
        project = self.project()
        fleet = project.fleets["tenants"]
        return read_standings(fleet, resolve_members(project, fleet), "m")

    def states(self) -> dict[str, str]:
        return {name: each.state for name, each in self.standings().items()}

    def emails(self, name: str) -> str:
        return self.scene.one("SELECT email FROM users WHERE id = 7", name)

    def sql(self, query: str, *names: str) -> None:
        for name in names or NAMES:
            with psycopg.connect(self.scene.urls[name], autocommit=True) as connection:
                connection.execute(trusted(query))

    def failures(self) -> dict[str, CrossfadeError]:
        return {each.member: each.failure for each in self.heard if each.failure is not None}


@pytest.fixture
def fleet(
    tmp_path: Path, databases: Databases, server: Server, monkeypatch: pytest.MonkeyPatch
) -> Generator[FleetScene]:
    made = FleetScene(tmp_path, databases, server, monkeypatch.setenv)
    yield made
    made.scene.close()
