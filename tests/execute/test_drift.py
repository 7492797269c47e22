"""What no migration has made is drift; what one makes, in whatever phase it is, is not."""

from __future__ import annotations

import pytest
from tests.scene import Scene

from crossfade.execute import LegPassed, LegStarted, Notice, Runner
from crossfade.execute.drift import accept_drift, read_drift

ADD = "changes:\n  - add_column: {table: items, column: code, type: text, up: upper(name)}\n"
RENAME = "changes:\n  - rename_table: {table: items, to: things}\n"


@pytest.fixture
def items(scene: Scene) -> Scene:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, name text)")
    scene.sql("CREATE TABLE orders (id int PRIMARY KEY, item int REFERENCES items, note text)")
    scene.sql("INSERT INTO items SELECT n, 'item ' || n FROM generate_series(1, 20) AS n")
    return scene


def drift(scene: Scene) -> list[str]:
    return [str(each) for each in read_drift(scene.project().databases[scene.first]).differences]


def accept(scene: Scene, because: str = "a hot fix") -> None:
    accept_drift(scene.project().databases[scene.first], because)


def test_nothing_is_known_before_the_first_migration(items: Scene) -> None:
    assert read_drift(items.project().databases["app"]).since is None


@pytest.mark.parametrize("leg", ["expand", "backfill", "validate", None])
def test_no_phase_of_a_migration_is_drift(items: Scene, leg: str | None) -> None:
    items.spec(ADD)
    items.up(through=leg)
    assert drift(items) == []


def test_taking_a_migration_back_is_no_drift(items: Scene) -> None:
    items.spec(ADD)
    items.up(through="validate")
    items.rollback()
    assert drift(items) == []


def test_what_follows_a_renamed_table_elsewhere_is_no_drift(items: Scene) -> None:
    items.spec(RENAME)
    items.up()
    assert drift(items) == []


def test_a_column_of_partitions_that_no_statement_names_is_no_drift(scene: Scene) -> None:
    scene.sql("CREATE TABLE events (id int, at int, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)")
    scene.sql("CREATE TABLE early PARTITION OF events FOR VALUES FROM (0) TO (9) PARTITION BY RANGE (at)")
    scene.sql("CREATE TABLE first PARTITION OF early FOR VALUES FROM (0) TO (5)")
    scene.spec("changes:\n  - add_column: {table: events, column: note, type: text}\n")
    scene.up()
    assert scene.columns("first") == ["id", "at", "note"]
    assert drift(scene) == []


def test_what_somebody_does_by_hand_is_told(items: Scene) -> None:
    items.spec(ADD)
    items.up()
    items.sql("CREATE INDEX by_hand ON orders (note)")
    items.sql("ALTER TABLE orders ALTER note SET DEFAULT 'x'")
    assert drift(items) == [
        "column public.orders.note: default was none, is 'x'::text",
        "index by_hand on public.orders: was created",
    ]


def test_drift_stays_when_a_later_migration_changes_the_same_table(items: Scene) -> None:
    items.spec(ADD)
    items.up()
    items.sql("CREATE INDEX by_hand ON items (name)")
    items.sql("ALTER TABLE items ALTER name SET DEFAULT 'x'")
    items.spec("changes:\n  - change_column: {table: items, column: name, to: {nullable: false}}\n", id="n")
    items.up(id="n")
    assert drift(items) == [
        "column public.items.name: default was none, is 'x'::text",
        "index by_hand on public.items: was created",
    ]


def test_what_is_done_by_hand_to_another_table_during_a_run_is_told(items: Scene) -> None:
    def somebody(notice: Notice) -> None:
        if isinstance(notice, LegStarted) and notice.leg == "backfill":
            items.sql("CREATE INDEX by_hand ON orders (note)")

    items.spec(ADD)
    Runner(items.project(), somebody).advance(items.migration())
    assert drift(items) == ["index by_hand on public.orders: was created"]


def test_what_a_dead_run_has_made_is_no_drift(items: Scene) -> None:
    items.spec(ADD)
    items.up(through="expand")
    items.rollback()
    items.ledger().begin_work("m", "[]")
    items.sql("ALTER TABLE items ADD code text")
    assert drift(items) == []


def test_what_a_migration_at_work_may_have_made_is_not_told_yet(items: Scene) -> None:
    items.spec(ADD)
    items.up(through="expand")
    items.sql("UPDATE crossfade.migration SET holder = 'somebody', lease_until = clock_timestamp() + interval '1h'")
    items.ledger().begin_work("m", "[]")
    items.sql("CREATE INDEX its ON items (name)")
    items.sql("CREATE INDEX by_hand ON orders (note)")
    found = read_drift(items.project().databases["app"])
    assert [str(each) for each in found.differences] == ["index by_hand on public.orders: was created"]
    assert found.at_work == {"m": 1}


def test_what_was_accepted_is_expected_with_an_event_that_says_why(items: Scene) -> None:
    items.spec(ADD)
    items.up()
    items.sql("CREATE INDEX by_hand ON orders (note)")
    accept(items, "the reports were slow")
    assert drift(items) == []
    *_, event = items.ledger().newest_events(1)
    assert (event.migration, event.kind) == ("-", "drift accepted")
    assert event.body["because"] == "the reports were slow"
    assert event.body["differences"] == ["index by_hand on public.orders: was created"]
    items.sql("DROP INDEX by_hand")
    assert drift(items) == ["index by_hand on public.orders: was dropped"]


def test_a_locked_table_is_told_and_not_taken_for_drift(items: Scene) -> None:
    items.spec(ADD)
    items.up()
    with items.connect() as other, other.transaction():
        other.execute("LOCK TABLE orders")
        found = read_drift(items.project().databases["app"])
    assert found.differences == ()
    assert [*found.unread] == ["public.orders"]


def test_what_another_version_of_the_server_has_printed_is_told(items: Scene) -> None:
    items.spec(ADD)
    items.up()
    items.sql("UPDATE crossfade.structure SET server_version = 90600")
    assert read_drift(items.project().databases["app"]).printed_by == 9


def test_a_run_that_cannot_read_the_catalog_at_its_end_leaves_it_to_the_next_look(items: Scene) -> None:
    items.spec(ADD)
    with items.connect() as other:

        def somebody(notice: Notice) -> None:
            if isinstance(notice, LegPassed) and notice.leg == "validate":
                other.execute("BEGIN; LOCK TABLE orders")

        Runner(items.project(), somebody).advance(items.migration(), through="validate")
        assert [*items.ledger().at_work()] == ["m"]
        other.execute("COMMIT")
    assert drift(items) == []
    assert [*items.ledger().at_work()] == []
