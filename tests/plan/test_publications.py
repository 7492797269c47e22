"""What a migration adds to a published table must be at the subscribers first, and the spec must vouch for it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator
from typing import LiteralString
from uuid import uuid4

import psycopg
import pytest
from tests.changes.life import spec
from tests.conftest import Databases
from tests.scene import Scene

from crossfade.changes import Refused
from crossfade.spec.fragment import trusted

TABLE = "CREATE TABLE t (id int PRIMARY KEY, n int, seen text)"
CONTRACT = "contract: {stages: [retire: {}, archive: {}, drop: {}]}\n"
STOPPED = """
SELECT FROM pg_stat_subscription_stats AS stats
       JOIN pg_subscription AS subscription ON subscription.oid = stats.subid
       JOIN pg_database AS here ON here.oid = subscription.subdbid
 WHERE here.datname = current_database() AND stats.apply_error_count > 0"""
Subscriber = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
def subscribed(scene: Scene, databases: Databases) -> Generator[Callable[[str], Subscriber]]:
    """Called with what is published, it gives the subscriber: another database, whose table `t` follows ours."""
    (url,) = databases("subscriber")
    name = f"s_{uuid4().hex[:12]}"
    with psycopg.connect(url, autocommit=True) as subscriber:

        def subscribe(scope: str) -> Subscriber:
            if scene.one("SHOW wal_level") != "logical":
                pytest.skip("the server's wal_level is not logical")
            scene.sql(TABLE)
            scene.sql(f"CREATE PUBLICATION p {scope}")
            # Within one server CREATE SUBSCRIPTION cannot make the slot itself: it would wait for its own transaction.
            scene.sql(f"SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')")
            subscriber.execute(TABLE)
            made = (
                f"CREATE SUBSCRIPTION {name} CONNECTION '{scene.urls['app']}' PUBLICATION p"
                f" WITH (create_slot = false, slot_name = {name}, copy_data = false)"
            )
            subscriber.execute(trusted(made))
            return subscriber

        yield subscribe
        subscriber.execute(trusted(f"ALTER SUBSCRIPTION {name} DISABLE"))
        subscriber.execute(trusted(f"ALTER SUBSCRIPTION {name} SET (slot_name = NONE)"))
        subscriber.execute(trusted(f"DROP SUBSCRIPTION {name}"))
        scene.sql(f"SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '{name}'")
        while scene.one(f"SELECT active FROM pg_replication_slots WHERE slot_name = '{name}'"):
            time.sleep(0.05)
        scene.sql(f"SELECT pg_drop_replication_slot('{name}')")


def arrives(subscriber: Subscriber, key: int) -> bool:
    return found(subscriber, "SELECT FROM t WHERE id = %s", key)


def stops(subscriber: Subscriber) -> bool:
    """Whether there is what it cannot apply, and with it nothing that comes after."""
    return found(subscriber, STOPPED)


def found(subscriber: Subscriber, query: LiteralString, *values: object) -> bool:
    """Whether the query gives a row before one's patience ends."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if subscriber.execute(query, values).rowcount:
            return True
        time.sleep(0.05)
    return False


def refusal(scene: Scene) -> Refused:
    with pytest.raises(Refused) as refused:
        scene.up()
    return refused.value


def since_15(scene: Scene) -> None:
    if scene.connect().info.server_version < 150000:
        pytest.skip("PostgreSQL 15 and later")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "more"),
    [
        ("change_column: {table: t, column: n, to: {type: bigint}}", "ALTER TABLE t ALTER COLUMN n TYPE bigint"),
        ("add_column: {table: t, column: extra, type: text}", "SELECT 1"),
        ("add_column: {table: t, column: twice, type: int, up: 2 * n}", "SELECT 1"),
        ("rename_column: {table: t, from: seen, to: noticed}", "SELECT 1"),
        ("drop_column: {table: t, column: seen}", "SELECT 1"),
    ],
)
def test_a_subscriber_with_the_columns_that_the_refusal_gives_follows_to_the_end(
    scene: Scene, subscribed: Callable[[str], Subscriber], change: str, more: str
) -> None:
    subscriber = subscribed("FOR TABLE t")
    spec(scene, change, more=CONTRACT)
    refused = refusal(scene)
    assert "publication p of database `app`" in refused.what
    assert scene.one("SELECT to_regnamespace('crossfade') IS NULL")
    given = re.search(r'ALTER TABLE "public"."t" (ADD COLUMN "\w+" \w+(, )?)+', refused.fix or "")
    assert given
    subscriber.execute(trusted(given[0].removesuffix(", ")))
    subscriber.execute(trusted(more))

    spec(scene, change, more=CONTRACT + "publications: [p]\n")
    plan = scene.runner().plan(scene.migration())
    assert [hazard.risk for hazard in plan.hazards if hazard.code == "published"] == ["danger"]
    for key, leg in enumerate(plan.legs):
        scene.up(through=str(leg))
        scene.sql(f"INSERT INTO t (id, n) VALUES ({key}, 7); UPDATE t SET n = 8 WHERE id = {key}")
        assert arrives(subscriber, key), f"replication stopped after {leg}"


@pytest.mark.slow
def test_with_a_column_list_added_columns_are_not_sent_and_nothing_is_asked(
    scene: Scene, subscribed: Callable[[str], Subscriber]
) -> None:
    since_15(scene)
    subscriber = subscribed("FOR TABLE t (id, n, seen)")
    spec(scene, "add_column: {table: t, column: twice, type: int, up: 2 * n}")

    scene.up()

    scene.sql("INSERT INTO t VALUES (1, 1, '')")
    assert arrives(subscriber, 1)


def test_a_publication_of_all_tables_carries_the_ledger_which_stops_a_subscriber(
    scene: Scene, subscribed: Callable[[str], Subscriber]
) -> None:
    since_15(scene)
    subscriber = subscribed("FOR ALL TABLES")
    scene.sql("INSERT INTO t VALUES (1, 1, '')")
    assert arrives(subscriber, 1)
    check = "add_constraint: {table: t, name: positive, check: n > 0}"
    spec(scene, check)
    assert "is FOR ALL TABLES, and carries crossfade's own ledger too" in refusal(scene).what
    assert scene.one("SELECT to_regnamespace('crossfade') IS NULL")

    spec(scene, check, more="publications: [p]\n")
    scene.up()

    scene.sql("INSERT INTO t VALUES (2, 2, '')")
    assert stops(subscriber)
    assert not subscriber.execute("SELECT FROM t WHERE id = 2").rowcount


def test_a_new_table_of_a_published_schema_is_told(scene: Scene) -> None:
    since_15(scene)
    scene.sql(f"{TABLE}; CREATE PUBLICATION p FOR TABLES IN SCHEMA public")
    spec(scene, "create_table: {table: extra, columns: [{name: id, type: int}], primary_key: [id]}")

    refused = refusal(scene)

    assert "table public.extra will be in publication p" in refused.what
    assert 'CREATE TABLE "public"."extra" ("id" integer)' in (refused.fix or "")


@pytest.mark.parametrize(("via_root", "said"), [("true", False), ("false", True)])
def test_rows_of_partitions_are_told_by_the_names_under_which_they_are_sent(
    scene: Scene, via_root: str, said: bool
) -> None:
    scene.sql(
        "CREATE TABLE t (id int PRIMARY KEY, n int) PARTITION BY RANGE (id);"
        "CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (9);"
        f"CREATE PUBLICATION p FOR TABLE t WITH (publish_via_partition_root = {via_root})"
    )
    spec(scene, "add_column: {table: t, column: extra, type: text}")

    assert ("under the names of its partitions" in refusal(scene).what) is said


def test_a_publication_of_one_partition_counts(scene: Scene) -> None:
    scene.sql(
        "CREATE TABLE t (id int PRIMARY KEY, n int) PARTITION BY RANGE (id);"
        "CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (9); CREATE PUBLICATION p FOR TABLE t_1"
    )
    spec(scene, "add_column: {table: t, column: extra, type: text}")

    assert "publication p" in refusal(scene).what


def test_what_adds_nothing_to_a_published_table_is_not_asked(scene: Scene) -> None:
    scene.sql(f"{TABLE}; CREATE TABLE other (id int PRIMARY KEY); CREATE PUBLICATION p FOR TABLE t")
    spec(
        scene,
        "add_constraint: {table: t, name: positive, check: n > 0}",
        "add_column: {table: other, column: extra, type: text}",
    )

    assert scene.up().ended == "complete"


NAMELESS = "CREATE TABLE t (id int NOT NULL, n int); INSERT INTO t SELECT i, i FROM generate_series(1, 9) AS i;"
FILLED = "add_column: {table: t, column: twice, type: int, up: 2 * n}"
PUBLISHED = "CREATE PUBLICATION p FOR TABLE t"
ONE_PARTITION = (
    "CREATE TABLE t (id int NOT NULL, n int) PARTITION BY RANGE (id);"
    "CREATE TABLE t_1 PARTITION OF t DEFAULT; CREATE PUBLICATION p FOR TABLE t"
)


@pytest.mark.parametrize(
    ("made", "named"),
    [
        (NAMELESS + "CREATE PUBLICATION p FOR TABLE t", "public.t"),
        (NAMELESS + "ALTER TABLE t ADD PRIMARY KEY (id) DEFERRABLE; CREATE PUBLICATION p FOR TABLE t", "public.t"),
        (
            NAMELESS + "ALTER TABLE t ADD PRIMARY KEY (id), REPLICA IDENTITY NOTHING; CREATE PUBLICATION p FOR TABLE t",
            "public.t",
        ),
        (ONE_PARTITION, "public.t_1"),
    ],
    ids=["no key", "a deferrable key", "identity nothing", "a partition"],
)
def test_rows_that_postgresql_lets_nobody_update_are_found_when_planning(scene: Scene, made: str, named: str) -> None:
    scene.sql(made)
    spec(scene, FILLED, more="publications: [p]\n")

    refused = refusal(scene)

    assert refused.what == (f"{named} has no replica identity, and publication p of database `app` carries updates")
    scene.sql((refused.fix or "").split(",")[0])
    assert scene.up().ended == "complete"


def test_the_way_back_counts_too(scene: Scene) -> None:
    scene.sql(NAMELESS + "CREATE PUBLICATION p FOR TABLE t")
    spec(scene, "drop_column: {table: t, column: n, down: id}", more=CONTRACT + "publications: [p]\n")

    assert "public.t has no replica identity" in refusal(scene).what


@pytest.mark.parametrize(
    ("made", "change"),
    [
        ("CREATE PUBLICATION p FOR TABLE t WITH (publish = 'insert')", FILLED),
        (
            "ALTER TABLE t ADD CONSTRAINT u UNIQUE (id), REPLICA IDENTITY USING INDEX u;" + PUBLISHED,
            FILLED,
        ),
        ("CREATE PUBLICATION p FOR TABLE t", "add_column: {table: t, column: extra, type: int}"),
    ],
    ids=["no updates are sent", "an index tells rows apart", "no row is written"],
)
def test_where_rows_can_be_updated_or_are_not_no_identity_is_asked_for(scene: Scene, made: str, change: str) -> None:
    scene.sql(NAMELESS + made)
    spec(scene, change, more="publications: [p]\n")

    assert scene.up().ended == "complete"
