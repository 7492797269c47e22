from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import ValidationError
from tests.gates.asking import context_at
from tests.scene import Scene
from tests.usage.counted import Counted

from crossfade.composing import sql
from crossfade.errors import Position
from crossfade.execute.session import reading
from crossfade.gates import Answer
from crossfade.gates.unused import UnusedGate
from crossfade.spec import Database

GATE = UnusedGate.model_validate({"unused": "users.email", "for": "1h"})
MINUTES = timedelta(minutes=1)


@pytest.fixture
def asked(counted: Counted, monkeypatch: pytest.MonkeyPatch) -> Counted:
    monkeypatch.setenv("COUNTED_URL", counted.url)
    return counted


def ask(counted: Counted, gate: UnusedGate = GATE) -> Answer:
    database = Database("profile", "env:COUNTED_URL", Position(Path("databases.yaml")))

    def open_reading(_: str) -> AbstractContextManager[psycopg.Connection[Any]]:
        return reading(database, "crossfade gate")

    return gate.ask(replace(context_at(counted.now), ledger=counted.ledger, open=open_reading))


def sampled_for_an_hour(counted: Counted) -> None:
    counted.sample()
    for _ in range(12):
        counted.sample(after=5 * MINUTES)


def test_it_holds_when_samples_cover_the_time_and_no_use_was_seen(asked: Counted) -> None:
    sampled_for_an_hour(asked)
    asked.run("SELECT id, name FROM users")
    asked.sample()

    answer = ask(asked)

    assert answer.state == "holds"
    assert answer.reason.startswith("no use was seen for 1h in 1 statement on 1 server")
    assert answer.evidence["verdict"] == "no evidence"
    assert answer.evidence["nodes"][0]["samples"] == 14
    assert "statements that failed, and those still running" in answer.evidence["limits"]


def test_it_waits_where_a_statement_uses_the_column_and_names_it_and_who_runs_it(asked: Counted) -> None:
    sampled_for_an_hour(asked)
    asked.run("SELECT email FROM users WHERE id = 7")
    asked.sample()

    answer = ask(asked)

    assert answer.state == "waits"
    assert answer.holds_at == asked.now + timedelta(hours=1)
    assert answer.reason.startswith(f"used by {asked.role}, last seen ")
    assert answer.reason.endswith("SELECT email FROM users WHERE id = $1")
    assert [(each["role"], each["how"], each["calls"]) for each in answer.evidence["used"]] == [
        (asked.role, "reads", 1)
    ]


def test_it_waits_where_a_statement_may_use_the_column(asked: Counted) -> None:
    sampled_for_an_hour(asked)
    asked.run("DO $$ BEGIN PERFORM email FROM users; END $$")
    asked.sample()

    answer = ask(asked)

    assert (answer.state, answer.evidence["verdict"]) == ("waits", "suspect")
    assert answer.reason.startswith("maybe used by ")


def test_it_waits_until_samples_cover_the_time(asked: Counted) -> None:
    asked.sample()
    began = asked.now
    asked.sample()

    answer = ask(asked)

    assert (answer.state, answer.holds_at) == ("waits", began + timedelta(hours=1))
    assert answer.reason == "primary is covered since 2026-03-25 12:01:00 UTC"


def test_it_waits_when_nobody_samples(asked: Counted) -> None:
    answer = ask(asked)

    assert (answer.state, answer.holds_at) == ("waits", None)
    assert "crossfade usage sample" in answer.reason


def test_it_waits_when_sampling_has_stopped(asked: Counted) -> None:
    sampled_for_an_hour(asked)
    asked.now += 11 * MINUTES

    answer = ask(asked)

    assert (answer.state, answer.holds_at) == ("waits", None)
    assert "primary was last sampled at" in answer.reason


LOSSES = {"evictions": "evicted_at", "replicas": "unsampled_at"}


def lost(counted: Counted, loss: str) -> None:
    """Ten minutes ago."""
    sampled_for_an_hour(counted)
    column = sql.Identifier(LOSSES[loss])
    set_to = sql.SQL("UPDATE crossfade.usage_node SET {} = %s WHERE node = 'primary'").format(column)
    counted.connection.execute(set_to, (counted.now - 10 * MINUTES,))


@pytest.mark.parametrize(("loss", "to_do"), [("evictions", "pg_stat_statements.max"), ("replicas", "databases.yaml")])
def test_it_waits_until_evidence_that_was_lost_is_older_than_the_time(asked: Counted, loss: str, to_do: str) -> None:
    lost(asked, loss)

    answer = ask(asked)

    assert (answer.state, answer.holds_at) == ("waits", asked.now + 50 * MINUTES)
    assert to_do in answer.reason
    assert f"`accept: [{loss}]`" in answer.reason
    asked.sample(after=51 * MINUTES)
    assert ask(asked).state == "holds"


@pytest.mark.parametrize("loss", LOSSES)
def test_lost_evidence_may_be_accepted_and_the_answer_says_so(asked: Counted, loss: str) -> None:
    lost(asked, loss)

    accepting = ask(asked, GATE.model_copy(update={"accept": (loss,)}))
    other = ask(asked, GATE.model_copy(update={"accept": tuple({*LOSSES} - {loss})}))

    assert (accepting.state, other.state) == ("holds", "waits")
    assert accepting.reason.endswith(f"; accepted: {loss} in that time")
    assert accepting.evidence["gaps"]


def test_a_column_that_is_gone_never_holds(asked: Counted) -> None:
    answer = ask(asked, UnusedGate.model_validate({"unused": "users.mail", "for": "1h"}))

    assert (answer.state, answer.reason) == ("never", "there is no column users.mail")


@pytest.mark.parametrize("column", ["email", "a.b.c.d", "users.", "users email"])
def test_a_column_is_named_with_its_table(column: str) -> None:
    with pytest.raises(ValidationError, match="written as table"):
        UnusedGate.model_validate({"unused": column, "for": "1h"})


def test_a_plan_is_refused_where_the_column_is_not_there_when_the_gate_is_asked(scene: Scene) -> None:
    scene.sql("CREATE TABLE users (id int PRIMARY KEY, email text)")
    change = "changes: [{rename_column: {table: users, from: email, to: address}}]\n"
    scene.spec(change + "gates: {contract: [{unused: users.emial, for: 1h}]}\n")

    with pytest.raises(Exception, match="emial") as refusal:
        scene.runner().plan(scene.migration())

    assert "email" in str(refusal.value)


def test_it_waits_where_triggers_counted_a_write_that_no_statement_tells(asked: Counted) -> None:
    sampled_for_an_hour(asked)
    asked.connection.execute(
        "INSERT INTO crossfade.old_write"
        " (migration, relation, column_name, role, application, calls, first_at, last_at)"
        " VALUES ('m', 'public.users', 'email', 'shop', '', 1, %(at)s, %(at)s),"
        "        ('m', 'public.users', 'name', 'other', '', 9, %(at)s, %(at)s)",
        {"at": asked.now - 10 * MINUTES},
    )

    answer = ask(asked)

    assert (answer.state, answer.holds_at) == ("waits", asked.now + 50 * MINUTES)
    assert (
        answer.reason == "written by shop (no application_name), at least 1 write, last counted 2026-03-25 12:51:00 UTC"
    )
    assert [each["role"] for each in answer.evidence["writes"]] == ["shop"]
    asked.sample(after=51 * MINUTES)
    assert ask(asked).state == "holds"
