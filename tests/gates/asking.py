"""A gate asked on a real database: what the engine gives it, with as little as a test wants to say."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import psycopg

from crossfade.errors import Position
from crossfade.execute.session import reading
from crossfade.gates import Answer, Gate, GateContext
from crossfade.gates.suite import SuiteGate
from crossfade.ledger import Ledger
from crossfade.spec import Database, Settings
from crossfade.spec.fragment import trusted
from crossfade.spec.settings import load_settings

NOW = datetime(2026, 3, 25, 12, tzinfo=UTC)  # a Wednesday
_PLAIN = Settings()


def context_at(now: datetime = NOW, *, since: datetime | None = None, settings: Settings = _PLAIN) -> GateContext:
    """For gates that only look at the clock."""
    nothing = cast(Any, None)
    return GateContext(
        migration="normalize_emails",
        plan_digest="this plan",
        point="before contract",
        database="profile",
        databases=("profile",),
        schema="public",
        root=Path(),
        settings=settings,
        ledger=nothing,
        open=nothing,
        homes={},
        url={},
        since=since,
        now=now,
    )


class Desk:
    """A project whose only database is `url`, and gates asked there."""

    def __init__(self, url: str, address_variable: str, root: Path) -> None:
        self.url = url
        self.root = root
        self.database = Database("profile", f"env:{address_variable}", Position(root / "databases.yaml"))
        self.connection = psycopg.connect(url, autocommit=True)
        (root / "validations").mkdir()

    def open(self, database: str) -> AbstractContextManager[psycopg.Connection[Any]]:
        assert database == "profile"
        return reading(self.database, "crossfade gate")

    @property
    def context(self) -> GateContext:
        return replace(
            context_at(settings=load_settings(self.root / "crossfade.yaml", [])),
            root=self.root,
            ledger=Ledger(self.connection),
            open=self.open,
            url={"profile": self.url},
        )

    def ask(self, gate: Gate) -> Answer:
        return gate.ask(self.context)

    def sql(self, statements: str) -> list[tuple[Any, ...]]:
        cursor = self.connection.execute(trusted(statements))
        return cursor.fetchall() if cursor.description else []

    def suite(self, body: str, name: str = "users_baseline") -> Path:
        """Write validations/<name>.yaml; `body` is what follows its name."""
        path = self.root / "validations" / f"{name}.yaml"
        path.write_text(f"suite: {name}\n{body}")
        return path

    def ask_suite(self, body: str) -> Answer:
        self.suite(body)
        return self.ask(SuiteGate(suite="users_baseline"))

    def sessions(self) -> int:
        """How many sessions of gates the server has in this database."""
        query = (
            "SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'crossfade gate'"
        )
        return len(self.sql(query))
