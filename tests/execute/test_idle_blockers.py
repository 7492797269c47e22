"""end_idle_blockers: who holds a lock and does nothing is ended, with an event; who is at work never is."""

from __future__ import annotations

import threading
import time
import uuid
from typing import Any

import psycopg
import pytest
from psycopg import errors
from tests.scene import Scene

from crossfade.execute import LockBudgetExceeded

ADD = """
changes: [{add_column: {table: items, column: extra, type: text}}]
locks: {timeout: 500ms, budget: %s%s}
"""
ENDING = ", end_idle_blockers: 1s"


@pytest.fixture
def items(scene: Scene) -> Scene:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, secret text); INSERT INTO items VALUES (1, 'S3cret')")
    return scene


def hold(session: psycopg.Connection[Any]) -> None:
    session.execute("SET application_name = 'left open'")
    session.execute("BEGIN; SELECT * FROM items WHERE secret = 'S3cret'")


def told(scene: Scene, kind: str) -> list[dict[str, Any]]:
    return [event.body for event in scene.ledger().events("m") if event.kind == kind]


def test_a_session_that_is_idle_in_a_transaction_is_ended_and_the_audit_says_so(items: Scene) -> None:
    items.spec(ADD % ("30s", ENDING))
    holder = items.connect()
    pid = holder.info.backend_pid
    hold(holder)

    assert items.up().ended == "complete"

    with pytest.raises(errors.AdminShutdown):
        holder.execute("SELECT 1")
    (ended,) = told(items, "idle blocker ended")
    assert (ended["pid"], ended["application"]) == (pid, "left open")
    assert ended["idle_seconds"] >= 1
    assert "S3cret" not in str(ended)


def test_without_the_option_it_is_not(items: Scene) -> None:
    items.spec(ADD % ("2s", ""))
    with items.connect() as holder:
        hold(holder)
        with pytest.raises(LockBudgetExceeded):
            items.up()
        holder.execute("COMMIT")


def test_a_session_at_work_is_not(items: Scene) -> None:
    items.spec(ADD % ("3s", ENDING))
    with items.connect() as holder:
        hold(holder)
        work = threading.Thread(target=lambda: holder.execute("SELECT pg_sleep(6)"))
        work.start()
        time.sleep(0.2)

        with pytest.raises(LockBudgetExceeded):
            items.up()

        work.join()
        holder.execute("COMMIT")
    assert told(items, "idle blocker ended") == []


def test_a_role_that_may_not_says_what_grants_it(items: Scene) -> None:
    role = f"migrator_{uuid.uuid4().hex[:8]}"
    database = items.one("SELECT quote_ident(current_database())")
    items.sql(f"CREATE ROLE {role}; GRANT CREATE ON DATABASE {database} TO {role}; GRANT pg_read_all_stats TO {role}")
    items.sql(f"ALTER TABLE items OWNER TO {role}")
    (items.root / "databases.yaml").write_text(f"app: {{url: env:APP_URL, role: {role}}}\n")
    items.spec(ADD % ("3s", ENDING))
    hazard = next(h for h in items.runner().plan(items.migration()).hazards if h.code == "ends-idle-blockers")
    assert hazard.fix == f'GRANT pg_signal_backend TO "{role}"'
    try:
        with items.connect() as holder:
            hold(holder)
            with pytest.raises(LockBudgetExceeded, match=f'GRANT pg_signal_backend TO "{role}"'):
                items.up()
            holder.execute("COMMIT")
        assert len(told(items, "idle blocker stays")) == 1
        assert told(items, "idle blocker ended") == []
    finally:
        items.sql(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")
