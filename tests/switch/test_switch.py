"""switch_database: clients go on in another database, and find there all that they wrote."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import psycopg
import pytest
from psycopg import errors, sql
from tests.switch.scene import Pooled

from crossfade.execute import StepRefused
from crossfade.execute.notice import Retrying

LEFT = """
SELECT (SELECT count(*) FROM pg_subscription) + (SELECT count(*) FROM pg_publication)
     + (SELECT count(*) FROM pg_replication_slots WHERE database = current_database())"""


def test_clients_go_on_in_the_other_database_with_all_they_wrote(pooled: Pooled) -> None:
    with pooled.writers() as writers:
        assert pooled.up(through="cutover").ended == "reached"
        assert pooled.leads_to() == "green"

    assert writers.failures == []
    assert pooled.lost() == set()
    assert pooled.scene.one("SELECT count(*) = count(DISTINCT id) FROM flights", "green")


def test_what_is_written_there_is_not_lost_when_clients_are_switched_back(pooled: Pooled) -> None:
    with pooled.writers() as writers:
        pooled.up(through="cutover")
        pooled.writes_again()
        pooled.rollback(to="validate")
        pooled.writes_again()

    assert pooled.leads_to() == "blue"
    assert writers.failures == []
    assert pooled.lost() == set()


def test_clients_can_be_switched_again_after_that(pooled: Pooled) -> None:
    with pooled.writers() as writers:
        pooled.up(through="cutover")
        pooled.rollback(to="validate")
        pooled.up(through="cutover")

    assert pooled.leads_to() == "green"
    assert (writers.failures, pooled.lost()) == ([], set())


def test_nothing_is_left_when_it_is_complete(pooled: Pooled) -> None:
    assert pooled.up().ended == "complete"

    for name in ("blue", "green"):
        assert pooled.scene.one(LEFT, name) == 0
    assert pooled.scene.one("SELECT nextval('flights_id_seq')", "green") == 3001


def test_nothing_is_left_when_it_is_taken_back(pooled: Pooled) -> None:
    pooled.up(through="cutover")
    assert pooled.rollback().ended == "undone"

    for name in ("blue", "green"):
        assert pooled.scene.one(LEFT, name) == 0
    assert pooled.scene.one("SELECT count(*) FROM flights", "green") == 0
    pooled.one("INSERT INTO flights (plane, seats) VALUES (1, 1) RETURNING id")


def test_who_comes_late_past_the_pooler_cannot_write_in_the_database_that_was_left(pooled: Pooled) -> None:
    pooled.up(through="cutover")

    with pytest.raises(errors.ReadOnlySqlTransaction):
        pooled.scene.sql("INSERT INTO planes (code) VALUES ('late')")


def test_a_session_past_the_pooler_refuses_the_switch_and_clients_go_on(pooled: Pooled) -> None:
    pooled.up(through="validate")
    with psycopg.connect(pooled.scene.urls["blue"], application_name="nightly"), pooled.writers() as writers:
        with pytest.raises(StepRefused, match="nightly is connected to blue past the pooler"):
            pooled.up(through="cutover")
        pooled.writes_again()

    assert pooled.leads_to() == "blue"
    assert writers.failures == []


def test_an_application_beside_the_pooler_may_stay_connected(pooled: Pooled) -> None:
    pooled.respell("beside: [nightly]")
    with psycopg.connect(pooled.scene.urls["blue"], application_name="nightly"):
        assert pooled.up(through="cutover").ended == "reached"


def test_a_long_transaction_is_waited_for_without_holding_the_others_back(pooled: Pooled) -> None:
    pooled.up(through="validate")
    with pooled.connect() as client:
        client.execute("BEGIN; SELECT")

        def finish() -> None:
            while not any(pooled.scene.seen(Retrying)):
                time.sleep(0.01)
            client.execute("COMMIT")

        thread = threading.Thread(target=finish)
        thread.start()
        with pooled.writers() as writers:
            assert pooled.up(through="cutover").ended == "reached"
        thread.join()

    assert (writers.failures, pooled.lost()) == ([], set())


def test_a_table_that_was_altered_meanwhile_refuses_the_switch_by_name(pooled: Pooled) -> None:
    pooled.up(through="validate")
    pooled.scene.sql("ALTER TABLE planes ADD COLUMN built date")

    with pytest.raises(StepRefused, match=r"public\.planes\.built date came"):
        pooled.up(through="cutover")

    assert pooled.leads_to() == "blue"


def test_a_pooler_that_lends_connections_for_whole_sessions_is_refused(pooled: Pooled) -> None:
    pooled.up(through="validate")
    pooled.reconfigure("pool_mode = transaction", "pool_mode = session")

    with pytest.raises(StepRefused, match="set pool_mode = transaction"):
        pooled.up(through="cutover")


def test_an_entry_that_leads_elsewhere_is_refused(pooled: Pooled) -> None:
    pooled.up(through="validate")
    pooled.reconfigure("dbname=", "dbname=other_")

    with pytest.raises(StepRefused, match="leads to neither blue nor green"):
        pooled.up(through="cutover")


def test_a_user_of_the_pooler_who_may_not_come_in_there_refuses_the_switch(pooled: Pooled) -> None:
    pooled.up(through="validate")
    with psycopg.connect(pooled.scene.urls["green"], autocommit=True) as green:
        green.execute("CREATE ROLE pooled LOGIN")
        green.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(sql.Identifier(green.info.dbname)))
    pooled.reconfigure("user=postgres", "user=pooled")

    with pytest.raises(StepRefused, match="the user of the pooler's entry pooled cannot log in to green"):
        pooled.up(through="cutover")


@pytest.mark.parametrize(
    "point", ["subscribed", "before pause", "clients wait", "fenced", "before the entry", "after the entry"]
)
def test_clients_go_on_by_themselves_when_the_runner_is_killed_and_the_next_one_ends_it(
    pooled: Pooled, point: str
) -> None:
    with pooled.writers() as writers:
        assert pooled.killed_at(point)
        pooled.writes_again()
        assert pooled.up(through="cutover").ended == "reached"
        pooled.writes_again()

    assert pooled.leads_to() == "green"
    assert (writers.failures, pooled.lost()) == ([], set())


@pytest.mark.parametrize("point", ["clients wait", "before the entry", "after the entry"])
def test_a_switch_back_that_is_killed_is_ended_by_the_next_one(pooled: Pooled, point: str) -> None:
    with pooled.writers() as writers:
        pooled.up(through="cutover")
        assert pooled.killed_at(point, act="rollback")
        pooled.writes_again()
        pooled.rollback(to="validate")
        pooled.writes_again()

    assert pooled.leads_to() == "blue"
    assert (writers.failures, pooled.lost()) == ([], set())


def test_rows_of_a_table_go_into_partitions_there_and_back(pooled: Pooled) -> None:
    pooled.scene.sql("DROP TABLE flights", "green")
    pooled.scene.sql(
        "CREATE TABLE flights (id bigserial PRIMARY KEY, plane bigint NOT NULL, seats int NOT NULL, note text)"
        " PARTITION BY HASH (id)",
        "green",
    )
    for part in range(2):
        pooled.scene.sql(
            f"CREATE TABLE flights_{part} PARTITION OF flights FOR VALUES WITH (MODULUS 2, REMAINDER {part})", "green"
        )

    with pooled.writers() as writers:
        pooled.up(through="cutover")
        pooled.writes_again()
        pooled.rollback(to="validate")

    assert (writers.failures, pooled.lost()) == ([], set())
    assert pooled.leads_to() == "blue"


def test_no_address_with_its_password_is_shown_by_the_server(pooled: Pooled, tmp_path: Path) -> None:
    shown: list[str] = []
    stop = threading.Event()

    def look() -> None:
        with psycopg.connect(os.environ["GREEN_URL"], autocommit=True, application_name="crossfade test") as session:
            while not stop.is_set():
                shown.extend(text for (text,) in session.execute("SELECT query FROM pg_stat_activity") if text)
                time.sleep(0.001)

    thread = threading.Thread(target=look)
    thread.start()
    pooled.up(through="cutover")
    stop.set()
    thread.join()

    assert any("PUBLICATION" in text for text in shown)
    assert not any("password" in text for text in shown)
