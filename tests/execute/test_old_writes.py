"""Who still writes an old column is counted, for as long as it bears its name; whoever writes does not notice."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.scene import Scene

from crossfade.ledger import OldWrites
from crossfade.spec.fragment import trusted

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
NOON = datetime(2026, 3, 25, 12, tzinfo=UTC)
USERS = """
CREATE TABLE users (id int PRIMARY KEY, email text DEFAULT 'none', note text);
INSERT INTO users SELECT i, 'user' || i FROM generate_series(1, 20) AS i"""
RENAME = """
changes: [{rename_column: {table: users, from: email, to: address}}]
contract: {count_writes: true, stages: [{brownout: {for: 100ms, without_log: true}}, {retire: }, {archive: }, {drop: }]}
"""
MANY_LATER = "SELECT setval(pg_get_serial_sequence('crossfade.old_write', 'id'), 400000)"
DROP = "changes: [{drop_column: {table: users, column: email}}]\ncontract: {count_writes: true}\n"


@pytest.fixture
def users(scene: Scene) -> Scene:
    """Old and new names side by side."""
    scene.sql(USERS)
    scene.spec(RENAME)
    scene.up(through="validate")
    return scene


@contextmanager
def application(scene: Scene, name: str = "shop") -> Generator[psycopg.Connection[Any]]:
    with psycopg.connect(make_conninfo(scene.urls[scene.first], application_name=name), autocommit=True) as connection:
        yield connection


def writes(scene: Scene, since: datetime = LONG_AGO) -> list[tuple[str, int]]:
    return [(each.application, each.calls) for each in counted(scene, since)]


def counted(scene: Scene, since: datetime = LONG_AGO) -> tuple[OldWrites, ...]:
    return scene.ledger().old_writes("public.users", "email", since)


def test_a_statement_that_names_the_old_column_is_counted(users: Scene) -> None:
    naming = (
        "UPDATE users SET email = 'x' WHERE id = 1",
        "UPDATE users SET email = email WHERE id = 999",  # no row changes, yet the program knows the name
        "INSERT INTO users (id, email) VALUES (30, 'x')",
        "INSERT INTO users (id, email) VALUES (1, NULL) ON CONFLICT (id) DO UPDATE SET email = 'x'",
        "DO $$ BEGIN EXECUTE 'UPDATE users SET ema' || 'il = 1' ; END $$",
    )
    for number, statement in enumerate(naming):
        with application(users, f"shop {number}") as shop:
            shop.execute(trusted(statement))

    assert sorted(writes(users)) == [(f"shop {number}", 1) for number in range(len(naming))]


def test_what_the_sync_writes_there_is_not(users: Scene) -> None:
    with application(users) as shop:
        shop.execute("UPDATE users SET address = 'x', note = 'y'")
        shop.execute("INSERT INTO users (id, address) VALUES (30, 'x')")
        shop.execute("INSERT INTO users (id, email) VALUES (31, 'none')")  # its default: nothing tells who gave it
        shop.execute("UPDATE users SET note = email")
        shop.execute("DELETE FROM users WHERE email = 'x'")

    assert writes(users) == []


def test_the_role_that_wrote_is_told_and_the_values_are_not(users: Scene) -> None:
    role = users.one("SELECT 'writer_' || replace(gen_random_uuid()::text, '-', '')")
    users.sql(f"CREATE ROLE {role}; GRANT ALL ON users TO {role}")
    try:
        with application(users) as shop:
            shop.execute(trusted(f"SET ROLE {role}"))
            shop.execute("UPDATE users SET email = 'secret' WHERE id = 1")
    finally:
        (found,) = counted(users)
        users.sql(f"DROP OWNED BY {role}; DROP ROLE {role}")

    assert (found.role, found.application, found.calls) == (role, "shop", 1)
    assert "secret" not in str(users.sql("SELECT * FROM crossfade.old_write"))


def test_a_session_adds_a_row_a_minute_that_says_how_many_writes_there_were(users: Scene) -> None:
    users.set_clock(NOON)
    with application(users) as shop:
        for _ in range(3):
            shop.execute("UPDATE users SET email = 'x' WHERE id = 1")
        before = users.sql("SELECT calls FROM crossfade.old_write ORDER BY id")
        users.set_clock(NOON + timedelta(minutes=1))
        shop.execute("UPDATE users SET email = 'x' WHERE id = 1")

    assert (before, users.sql("SELECT calls FROM crossfade.old_write ORDER BY id")) == ([(1,)], [(1,), (3,)])
    assert writes(users, NOON) == [("shop", 4)]
    assert writes(users, NOON + timedelta(minutes=1)) == []


def test_a_sample_makes_one_row_of_those_of_the_same_writer(users: Scene) -> None:
    for name in ("shop", "shop", "shop", "report"):
        with application(users, name) as session:
            session.execute("UPDATE users SET email = 'x' WHERE id = 1")
    before = counted(users)

    users.ledger().gather_old_writes()

    assert counted(users) == before
    assert users.one("SELECT count(*) FROM crossfade.old_write") == 2


def test_writers_do_not_wait_for_each_other(users: Scene) -> None:
    with application(users) as one, application(users) as other, one.transaction():
        one.execute("UPDATE users SET email = 'x' WHERE id = 1")
        other.execute("SET statement_timeout = '10s'")
        other.execute("UPDATE users SET email = 'x' WHERE id = 2")

    assert writes(users) == [("shop", 2)]


def test_a_write_that_is_taken_back_is_not_counted(users: Scene) -> None:
    with application(users) as shop:
        with shop.transaction(force_rollback=True):
            shop.execute("UPDATE users SET email = 'x' WHERE id = 1")
        shop.execute("UPDATE users SET email = 'x' WHERE id = 2")

    assert writes(users) == [("shop", 1)]


def test_no_write_fails_or_waits_where_it_cannot_be_counted(users: Scene) -> None:
    for number, broken in enumerate(
        (
            "BEGIN; LOCK TABLE crossfade.old_write",
            "ALTER TABLE crossfade.old_write ADD CHECK (calls < 0) NOT VALID",
            "DROP TABLE crossfade.old_write",
        )
    ):
        with application(users, "crossfade test") as spoiler, application(users) as shop:
            spoiler.execute(trusted(broken))
            shop.execute("SET statement_timeout = '10s'")
            shop.execute("UPDATE users SET email = 'y' WHERE id = 1")
            shop.execute("INSERT INTO users (id, email) VALUES (%s, 'y')", (30 + number,))
            spoiler.execute("ROLLBACK")

    assert users.one("SELECT count(*) FROM users WHERE address = 'y'") == 4


def test_where_there_are_too_many_notes_no_write_fails_and_a_sample_makes_room_again(users: Scene) -> None:
    for number, name in enumerate(("once", "shop", "shop", "late"), start=1):
        with application(users, name) as session:
            session.execute("UPDATE users SET email = 'y' WHERE id = %s", (number,))
        if number == 2:
            users.sql(MANY_LATER)
    full = dict(writes(users))
    users.ledger().gather_old_writes()
    with application(users, "later") as session:
        session.execute("UPDATE users SET email = 'y' WHERE id = 5")

    assert users.one("SELECT count(*) FROM users WHERE address = 'y'") == 5
    assert full == {"once": 1, "shop": 2}
    assert dict(writes(users)) == full | {"later": 1}


def test_a_sessions_own_nonsense_under_the_name_of_the_note_does_no_harm(users: Scene) -> None:
    with application(users) as shop:
        shop.execute("UPDATE users SET email = 'x' WHERE id = 1")
        (name,) = shop.execute(
            "SELECT convert_from((string_to_array(encode(tgargs, 'escape'), '\\000'))[4]::bytea, 'UTF8')"
            "  FROM pg_trigger WHERE tgname LIKE '\\_cf\\_%\\_cnu\\_%'"
        ).fetchall()[0]
        shop.execute("SELECT set_config(%s, '99999999999999 x y', false)", (f"crossfade.w_{name}",))
        shop.execute("UPDATE users SET email = 'x' WHERE id = 1")

    assert writes(users) == [("shop", 2)]


def test_crossfades_own_sessions_are_not_counted(users: Scene) -> None:
    with application(users, "crossfade up") as own:
        own.execute("UPDATE users SET email = 'x' WHERE id = 1")

    assert writes(users) == []


def test_rows_put_into_a_partition_are_counted_and_updates_of_the_table(scene: Scene) -> None:
    scene.sql("CREATE TABLE users (id int PRIMARY KEY, email text) PARTITION BY RANGE (id)")
    scene.sql("CREATE TABLE first_users PARTITION OF users FOR VALUES FROM (0) TO (100)")
    scene.spec(RENAME)
    scene.up(through="validate")
    with application(scene) as shop:
        shop.execute("INSERT INTO first_users (id, email) VALUES (1, 'x')")
    with application(scene) as shop:
        shop.execute("UPDATE users SET email = 'y'")

    assert writes(scene) == [("shop", 2)]


def test_writers_of_a_column_that_only_goes_are_counted_too(scene: Scene) -> None:
    scene.sql(USERS)
    scene.spec(DROP)
    scene.up(through="validate")
    with application(scene) as shop:
        shop.execute("UPDATE users SET email = 'x' WHERE id = 1")

    assert writes(scene) == [("shop", 1)]


@pytest.mark.parametrize("spec", [RENAME, DROP])
def test_the_triggers_go_at_retire_and_come_back_when_it_is_turned_back(scene: Scene, spec: str) -> None:
    scene.sql(USERS)
    untouched = scene.schema()
    scene.spec(spec)
    scene.up(through="validate")
    side_by_side = scene.schema()
    scene.up(through="retire")
    assert not [name for name in scene.own_objects() if "_cn" in name]

    scene.rollback(to="validate")
    assert scene.schema() == side_by_side
    with application(scene) as shop:
        shop.execute("UPDATE users SET email = 'x' WHERE id = 1")
    assert writes(scene) == [("shop", 1)]

    scene.rollback()
    assert scene.schema() == untouched


def test_nothing_of_it_is_left_in_the_end(scene: Scene) -> None:
    scene.sql(USERS)
    scene.spec(RENAME)

    scene.up()

    assert scene.own_objects() == []


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        ("rename_column: {table: users, from: email, to: address}", True),
        ("change_column: {table: users, column: email, to: {type: varchar(9)}, up: email, down: email}", False),
        ("add_column: {table: users, column: code, type: text}", False),
    ],
)
def test_a_plan_warns_where_there_is_nothing_to_count(scene: Scene, change: str, counts: bool) -> None:
    scene.sql(USERS)
    scene.spec(f"changes: [{{{change}}}]\ncontract: {{count_writes: true}}\n")

    plan = scene.runner().plan(scene.migration())

    assert ("counts-nothing" in {hazard.code for hazard in plan.hazards}) != counts
