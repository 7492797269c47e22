"""Events are append-only and chained: what a superuser does to them behind the triggers' back is found."""

from __future__ import annotations

import threading
from datetime import datetime

import psycopg
import pytest
from psycopg import errors
from tests.ledger.conftest import Connection, Open

from crossfade.ledger import Ledger, Tampered, verify
from crossfade.spec.fragment import trusted


@pytest.fixture
def chain(ledger: Ledger) -> Connection:
    for number in range(1, 6):
        ledger.event(
            "m", f"event {number}", {"number": number, "text": "ä \\ \" ' \u2028", "nested": {"b": [1.50, None]}}
        )
    return ledger.connection


@pytest.fixture
def tamper(chain: Connection) -> Connection:
    """A superuser who has switched the triggers off."""
    chain.execute("ALTER TABLE crossfade.event DISABLE TRIGGER ALL")
    return chain


def test_an_untouched_chain_holds(chain: Connection) -> None:
    assert verify(chain) == (5, None)


def test_an_empty_chain_holds(ledger: Ledger) -> None:
    assert verify(ledger.connection) == (0, None)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE crossfade.event SET kind = 'x'",
        "UPDATE crossfade.event SET body = '{}' WHERE seq = 1",
        "DELETE FROM crossfade.event",
        "DELETE FROM crossfade.event WHERE seq = 5",
        "TRUNCATE crossfade.event",
        "TRUNCATE crossfade.event CASCADE",
    ],
)
def test_events_are_append_only(chain: Connection, statement: str) -> None:
    with pytest.raises(errors.InsufficientPrivilege, match="append-only"):
        chain.execute(trusted(statement))

    assert verify(chain) == (5, None)


@pytest.mark.parametrize(
    "edit",
    [
        "body = jsonb_set(body, '{number}', '7')",
        "body = body - 'nested'",
        "kind = 'event 7'",
        "migration = 'n'",
        "role = 'somebody'",
        "at = at + interval '1 microsecond'",
        "hash = sha256('x')",
    ],
)
def test_an_edited_event_is_found(tamper: Connection, edit: str) -> None:
    tamper.execute(trusted(f"UPDATE crossfade.event SET {edit} WHERE seq = 3"))

    assert verify(tamper) == (2, Tampered(3, "was edited"))


def test_a_deleted_event_in_the_middle_is_found(tamper: Connection) -> None:
    tamper.execute("DELETE FROM crossfade.event WHERE seq = 3")

    assert verify(tamper) == (2, Tampered(3, "is missing"))


def test_a_deleted_event_whose_followers_were_renumbered_is_found(tamper: Connection) -> None:
    tamper.execute("DELETE FROM crossfade.event WHERE seq = 3")
    tamper.execute("UPDATE crossfade.event SET seq = seq - 1 WHERE seq > 3")

    assert verify(tamper) == (2, Tampered(3, "does not follow the one before it"))


@pytest.mark.parametrize("left", [0, 3, 4])
def test_a_deleted_tail_is_found(tamper: Connection, left: int) -> None:
    tamper.execute("DELETE FROM crossfade.event WHERE seq > %s", (left,))

    assert verify(tamper) == (left, Tampered(left + 1, "and later are missing at the end"))


def test_reordered_events_are_found(tamper: Connection) -> None:
    tamper.execute("UPDATE crossfade.event SET seq = CASE seq WHEN 2 THEN -3 WHEN 3 THEN -2 END WHERE seq IN (2, 3)")
    tamper.execute("UPDATE crossfade.event SET seq = -seq WHERE seq < 0")

    assert verify(tamper) == (1, Tampered(2, "does not follow the one before it"))


def test_an_event_put_in_by_hand_is_found(tamper: Connection) -> None:
    tamper.execute(
        "INSERT INTO crossfade.event SELECT 6, now(), 'm', 'forged', 'ada', '{}', hash, sha256('x')"
        " FROM crossfade.event WHERE seq = 5"
    )

    assert verify(tamper) == (5, Tampered(6, "was edited"))


def test_the_settings_of_who_writes_and_who_verifies_do_not_matter(chain: Connection, open_session: Open) -> None:
    chain.execute("SET timezone TO 'Asia/Tokyo'")
    chain.execute("SET datestyle TO 'German, DMY'")
    Ledger(chain).event("m", "from Tokyo", {})

    other = open_session()
    other.execute("SET timezone TO 'America/St_Johns'")
    other.execute("SET bytea_output TO 'escape'")

    assert verify(chain) == (6, None)
    assert verify(other) == (6, None)


def test_events_written_at_once_make_one_line(chain: Connection, open_session: Open) -> None:
    def write(session: psycopg.Connection[object]) -> None:
        for _ in range(20):
            Ledger(session).event("m", "at once", {})

    threads = [threading.Thread(target=write, args=(open_session(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert verify(chain) == (65, None)


def test_an_event_that_is_rolled_back_leaves_no_gap(chain: Connection) -> None:
    with chain.transaction(force_rollback=True):
        Ledger(chain).event("m", "undone", {})
    Ledger(chain).event("m", "kept", {})

    assert verify(chain) == (6, None)
    assert [event.kind for event in Ledger(chain).events("m")][-1] == "kept"


def test_events_are_read_by_migration_with_who_and_when(chain: Connection) -> None:
    Ledger(chain).event("n", "another", {"a": 1})

    (found,) = Ledger(chain).events("n")

    assert (found.seq, found.kind, found.body) == (6, "another", {"a": 1})
    assert found.role == chain.info.user
    assert isinstance(found.at, datetime)
    assert len([*Ledger(chain).events()]) == 6


def test_events_are_read_a_page_at_a_time_and_none_is_left_out(ledger: Ledger) -> None:
    ledger.connection.execute("SELECT crossfade.append_event('m', 'many', '{}') FROM generate_series(1, 2500)")

    events = ledger.events("m")

    assert next(events).seq == 1
    assert [event.seq for event in events] == [*range(2, 2501)]
    assert [event.seq for event in ledger.newest_events(3)] == [2498, 2499, 2500]
