from __future__ import annotations

from contextlib import closing
from datetime import timedelta

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.conftest import fast_directory
from tests.orchestrate.orchestra import wait_until
from tests.usage.counted import BEGAN, MINUTE, Counted, texts

from crossfade.composing import sql
from crossfade.ledger import Ledger, install
from crossfade.server import LocalServer, start_local
from crossfade.spec.fragment import trusted
from crossfade.usage.evidence import Evidence
from crossfade.usage.sample import PRIMARY, NoStatistics, take_sample


def gaps(evidence: Evidence) -> str:
    return "; ".join(gap.what for gap in evidence.gaps)


def test_a_statement_that_was_called_between_two_samples_is_evidence_of_use(counted: Counted) -> None:
    counted.sample()
    counted.run("SELECT email FROM users WHERE id = 7")
    counted.sample()

    evidence = counted.evidence()

    assert evidence.verdict == "used"
    assert [(each.statement.role, each.how, each.statement.seen) for each in evidence.used] == [
        (counted.role, "reads", 1)
    ]
    assert texts(evidence) == ["SELECT email FROM users WHERE id = $1"]


def test_what_was_called_before_the_first_sample_only_is_no_evidence(counted: Counted) -> None:
    counted.run("SELECT email FROM users")
    assert counted.sample().new
    counted.sample()

    assert counted.evidence().verdict == "no evidence"


def test_what_is_called_again_after_the_first_sample_is(counted: Counted) -> None:
    counted.run("SELECT email FROM users")
    counted.sample()
    counted.run("SELECT email FROM users", "SELECT email FROM users")
    counted.sample()

    assert [each.statement.seen for each in counted.evidence().used] == [2]


def test_a_use_counts_until_it_is_older_than_the_window(counted: Counted) -> None:
    counted.sample()
    counted.run("UPDATE users SET email = 'x'")
    counted.sample()
    counted.sample(after=timedelta(minutes=50))
    assert counted.evidence().verdict == "used"

    counted.sample(after=timedelta(minutes=11))

    assert counted.evidence().verdict == "no evidence"


def test_other_columns_are_no_use_of_this_one(counted: Counted) -> None:
    counted.sample()
    counted.run("SELECT name FROM users", "INSERT INTO users (id) VALUES (1)", "SELECT count(*) FROM users")
    counted.sample()

    assert counted.evidence().verdict == "no evidence"
    assert counted.evidence("users.name").verdict == "used"


def test_a_do_block_that_names_the_column_is_suspect(counted: Counted) -> None:
    counted.sample()
    counted.run("DO $$ BEGIN UPDATE users SET email = 'secret'; END $$")
    counted.sample()

    evidence = counted.evidence()

    assert evidence.verdict == "suspect"
    assert [(each.statement.text, each.statement.names) for each in evidence.suspect] == [("DO", ["email", "users"])]


def test_statements_of_crossfades_own_role_are_left_out(counted: Counted) -> None:
    counted.sample()
    counted.connection.execute("SELECT email FROM users")
    counted.sample()

    assert counted.evidence().verdict == "no evidence"
    assert counted.evidence().nodes[0].left_out == ["postgres"]


def test_a_program_that_logs_in_as_crossfades_own_role_makes_a_gap(counted: Counted) -> None:
    counted.sample()
    with psycopg.connect(counted.url, application_name="shop"):
        counted.sample()

    assert "give crossfade a role of its own" in gaps(counted.evidence())


def test_the_window_is_covered_when_samples_reach_back_to_its_beginning(counted: Counted) -> None:
    counted.sample()
    for _ in range(12):
        counted.sample(after=timedelta(minutes=5))

    assert counted.evidence(window=timedelta(hours=1)).gaps == ()
    gap = counted.evidence(window=timedelta(hours=2)).gaps[0]
    assert gap.what == "primary is covered since 2026-03-25 12:01:00 UTC"
    assert gap.until == BEGAN + MINUTE + timedelta(hours=2)


def test_a_last_sample_that_is_old_makes_a_gap(counted: Counted) -> None:
    counted.sample()
    counted.now += timedelta(minutes=11)

    assert "last sampled at" in gaps(counted.evidence(window=MINUTE))


def test_statistics_that_somebody_reset_begin_the_window_anew(counted: Counted) -> None:
    counted.sample()
    counted.connection.execute("SELECT pg_stat_statements_reset()")
    counted.sample(after=timedelta(hours=2))

    assert counted.evidence().covered_since == counted.now


def test_what_was_called_after_a_reset_is_seen(counted: Counted) -> None:
    counted.run("SELECT email FROM users", "SELECT email FROM users")
    counted.sample()
    counted.connection.execute("SELECT pg_stat_statements_reset()")
    counted.run("SELECT email FROM users")
    counted.sample()

    assert [each.statement.seen for each in counted.evidence().used] == [1]


def test_a_statement_evicted_and_called_as_often_again_is_seen(counted: Counted) -> None:
    counted.run("SELECT email FROM users")
    counted.sample()
    counted.connection.execute(
        "SELECT pg_stat_statements_reset(0, 0, queryid) FROM pg_stat_statements WHERE query LIKE 'SELECT email%'"
    )
    counted.run("SELECT email FROM users")
    counted.sample()

    assert counted.evidence().verdict == "used"


def test_evictions_lose_evidence() -> None:
    few = {"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.max": "100"}
    with start_local(parent=fast_directory(), settings=few) as server, closing(Counted(server)) as counted:
        counted.sample()
        counted.run(*(f"SELECT {', '.join(['1'] * number)}" for number in range(1, 151)))
        counted.sample()
        found = next(gap for gap in counted.evidence().gaps if gap.loss == "evictions")

        assert found.until == counted.now + timedelta(hours=1)


def test_what_triggers_run_as_the_applications_role_is_left_out(counted: Counted) -> None:
    """Those that keep both sides in step use the old column to the end."""
    counted.connection.execute(
        """
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS
 $$ BEGIN PERFORM email FROM public.users WHERE id = new.id; RETURN new; END $$;
CREATE TRIGGER keep BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION keep()"""
    )
    counted.application.execute("INSERT INTO users (id) VALUES (1)")
    setting = sql.SQL("ALTER ROLE {} SET pg_stat_statements.track = 'all'").format(sql.Identifier(counted.role))
    counted.connection.execute(setting)
    counted.sample()
    with psycopg.connect(make_conninfo(counted.url, user=counted.role, password="p"), autocommit=True) as application:
        application.execute("INSERT INTO users (id) VALUES (2)")
    counted.sample()

    nested = "SELECT count(*) FROM pg_stat_statements WHERE NOT toplevel AND query LIKE '%email%'"
    assert counted.connection.execute(nested).fetchone() == (1,)
    assert counted.evidence().verdict == "no evidence"


def test_an_insert_of_thousands_of_rows_is_kept_as_one(counted: Counted) -> None:
    counted.sample()
    counted.run("INSERT INTO users VALUES " + ", ".join(f"({number}, 'n', 'e')" for number in range(3000)))
    counted.sample()

    assert texts(counted.evidence()) == ["INSERT INTO users VALUES ($1, $2, $3)"]


def test_sampling_never_resets_the_servers_statistics(counted: Counted) -> None:
    counted.run("SELECT email FROM users")
    before = counted.connection.execute("SELECT stats_reset FROM pg_stat_statements_info").fetchone()
    counted.sample()
    counted.sample()

    assert counted.connection.execute("SELECT stats_reset FROM pg_stat_statements_info").fetchone() == before


def test_a_role_that_may_not_see_the_statements_of_others_makes_a_gap(counted: Counted) -> None:
    counted.run("SELECT email FROM users")
    counted.connection.execute("GRANT ALL ON ALL TABLES IN SCHEMA crossfade TO PUBLIC")
    other = sql.Identifier(f"{counted.role}_2")
    counted.connection.execute(sql.SQL("CREATE ROLE {}").format(other))
    try:
        counted.connection.execute(sql.SQL("SET ROLE {}").format(other))
        counted.sample()
        assert "GRANT pg_read_all_stats TO" in gaps(counted.evidence())
    finally:
        counted.connection.execute("RESET ROLE")
        counted.connection.execute(sql.SQL("DROP OWNED BY {r}; DROP ROLE {r}").format(r=other))


def test_the_ledger_keeps_no_more_statements_than_its_bound(counted: Counted) -> None:
    counted.sample()
    counted.run("SELECT id FROM users", "SELECT name FROM users", "SELECT email FROM users")
    counted.sample()

    forgotten = counted.ledger.forget_usage(PRIMARY, most=2)

    assert len(counted.ledger.usage_counters(PRIMARY)) == 2
    assert forgotten == counted.now


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT id FROM users WHERE email = 's3cret'",
        "SELECT id FROM users /* s3cret */ WHERE id = 1 -- s3cret",
        "COPY (SELECT email FROM users WHERE email = 's3cret') TO STDOUT",
        "COPY users (email) TO STDOUT WITH (DELIMITER ';', NULL 's3cret')",
        "CREATE TEMPORARY TABLE t AS SELECT email FROM users WHERE email = 's3cret'",
        "EXPLAIN SELECT email FROM users WHERE email = 's3cret'",
        "PREPARE p AS SELECT email FROM users WHERE email = 's3cret'",
        "DO $$ BEGIN PERFORM email FROM users WHERE email = 's3cret'; END $$",
        "SET application_name = 's3cret'",
        "COMMENT ON COLUMN pg_temp.c.email IS 's3cret'",
        "SELECT email FROM users WHERE xmlserialize(CONTENT xmlparse(CONTENT 's3cret') AS text) = email",
    ],
)
def test_no_literal_gets_into_the_ledger(counted: Counted, statement: str) -> None:
    counted.run("CREATE TEMPORARY TABLE c (email text)")
    counted.sample()
    if statement.startswith("COPY"):
        with counted.application.cursor().copy(trusted(statement)) as copy:
            assert not [*copy]
    else:
        counted.run(statement)
    counted.sample()

    assert not [text for text in counted.kept() if "s3cret" in text]
    rows = counted.connection.execute("SELECT coalesce(names, '{}') FROM crossfade.usage_statement").fetchall()
    assert not [names for (names,) in rows if "s3cret" in names]


def test_without_the_extension_it_says_how_to_get_it(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        install(connection)

        with pytest.raises(NoStatistics) as refusal:
            take_sample(connection, Ledger(connection), PRIMARY, BEGAN)

    assert "shared_preload_libraries" in (refusal.value.fix or "")
    assert "CREATE EXTENSION pg_stat_statements" in (refusal.value.fix or "")


def test_an_extension_that_is_not_loaded_is_told_apart() -> None:
    bare = start_local(parent=fast_directory(), settings={"shared_preload_libraries": ""})
    with bare as server, psycopg.connect(server.url, autocommit=True) as connection:
        install(connection)
        connection.execute("CREATE EXTENSION pg_stat_statements")

        with pytest.raises(NoStatistics, match="has not loaded"):
            take_sample(connection, Ledger(connection), PRIMARY, BEGAN)


def test_a_replica_is_a_node_of_its_own(counting_server: LocalServer, counted: Counted) -> None:
    counted.sample()
    with counting_server.replica() as replica:
        url = make_conninfo(replica.url, dbname=counted.name)
        with psycopg.connect(url, autocommit=True, application_name="crossfade test") as reading:
            take_sample(reading, counted.ledger, "env:REPLICA_URL", counted.now)
            settings = make_conninfo(url, user=counted.role, password="p")
            with psycopg.connect(settings, autocommit=True) as application:
                application.execute("SELECT email FROM users")
            take_sample(reading, counted.ledger, "env:REPLICA_URL", counted.now + MINUTE)
    counted.sample()

    assert [each.statement.node for each in counted.evidence().used] == ["env:REPLICA_URL"]


def test_a_standby_that_is_not_sampled_loses_evidence(counting_server: LocalServer, counted: Counted) -> None:
    counted.sample()
    with counting_server.replica() as replica:
        replays = "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn IS NOT NULL"
        assert wait_until(lambda: counted.connection.execute(replays).fetchone() == (1,), seconds=60)
        counted.sample()
        (gap,) = [gap for gap in counted.evidence().gaps if gap.loss]
        assert (gap.loss, gap.until) == ("replicas", counted.now + timedelta(hours=1))

        url = make_conninfo(replica.url, dbname=counted.name)
        with psycopg.connect(url, autocommit=True, application_name="crossfade test") as reading:
            take_sample(reading, counted.ledger, "env:REPLICA_URL", counted.now)
        counted.sample(after=timedelta(hours=2))

        assert not [gap for gap in counted.evidence().gaps if gap.loss]


def test_a_logical_subscriber_is_no_standby(counting_server: LocalServer, counted: Counted) -> None:
    slot = sql.Identifier(f"of_{counted.name}")
    with psycopg.connect(counting_server.url, autocommit=True) as subscriber:
        subscriber.execute("CREATE TABLE users (id int PRIMARY KEY, name text, email text)")
        counted.connection.execute("CREATE PUBLICATION told FOR TABLE users")
        counted.connection.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (f"of_{counted.name}",))
        subscriber.execute(
            sql.SQL(
                "CREATE SUBSCRIPTION {slot} CONNECTION {url} PUBLICATION told"
                " WITH (create_slot = false, copy_data = false)"
            ).format(slot=slot, url=sql.Literal(counted.url))
        )
        try:
            streaming = "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn IS NOT NULL"
            assert wait_until(lambda: counted.connection.execute(streaming).fetchone() == (1,), seconds=60)
            counted.sample()
        finally:
            subscriber.execute(sql.SQL("DROP SUBSCRIPTION {}").format(slot))
            subscriber.execute("DROP TABLE users")

    assert not [gap for gap in counted.evidence().gaps if gap.loss]
