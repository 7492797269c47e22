"""merge_tables under programs of both versions that go on writing, with rows held, and with runners killed."""

from __future__ import annotations

import random
import threading
from itertools import count
from typing import Any

import psycopg
import pytest
from tests.changes.life import rows, spec
from tests.changes.test_merge_tables import HELD, MERGE, SOON, TABLES, WRONG
from tests.execute.test_kills import run_out_leases, run_until_complete
from tests.execute.writers import Writers
from tests.scene import Scene

App = psycopg.Connection[Any]


class Clients:
    """What clients of both versions write: `mail` of a row the old ones alone, `plan` the new ones, so that all of it
    can be told in the end. Rows are known by their names, which are in notes too.
    """

    def __init__(self) -> None:
        self.mail: dict[str, str] = {}
        self.plan: dict[str, int] = {}
        self.made: dict[str, str] = {}
        self.gone: set[str] = set()
        self._lock = threading.Lock()
        self._fresh = count(10_001)

    def old(self, app: App, dice: random.Random, _number: int) -> None:
        match dice.randrange(5):
            case 0:
                number = next(self._fresh)
                with app.transaction():
                    app.execute(
                        "INSERT INTO legacy_customers (id, full_name, mail) VALUES (%s, %s, %s)",
                        (number, f"O{number}", f"o{number}"),
                    )
                    app.execute("INSERT INTO legacy_notes VALUES (%s, %s, %s)", (number, number, f"O{number}"))
                self.made[f"O{number}"] = f"o{number}"
            case 1:
                number = dice.randrange(261, 281)
                app.execute("DELETE FROM legacy_customers WHERE id = %s", (number,))
                self.gone.add(f"L{number}")
            case 2:
                number = dice.randrange(1, 41)
                app.execute(
                    "UPDATE legacy_notes SET legacy_customer_id = %s, body = %s WHERE id = 99", (number, f"L{number}")
                )
            case _:
                number, mail = dice.randrange(1, 41), f"m{dice.random()}"
                with self._lock, app.transaction():  # what is written last is remembered last
                    app.execute("UPDATE legacy_customers SET mail = %s WHERE id = %s", (mail, number))
                    self.mail[f"L{number}"] = mail

    def new(self, app: App, dice: random.Random, _number: int) -> None:
        match dice.randrange(5):
            case 0:
                number = next(self._fresh)
                with app.transaction():
                    row = app.execute(
                        "INSERT INTO customers (name, mail) VALUES (%s, %s) RETURNING id", (f"N{number}", f"n{number}")
                    ).fetchone()
                    assert row is not None
                    app.execute(
                        "INSERT INTO legacy_notes (id, customer_id, body) VALUES (%s, %s, %s)",
                        (number, *row, f"N{number}"),
                    )
                self.made[f"N{number}"] = f"n{number}"
            case 1:
                name = f"L{dice.randrange(281, 301)}"
                if app.execute("DELETE FROM customers WHERE name = %s", (name,)).rowcount:
                    self.gone.add(name)
            case 2:
                name = f"L{dice.randrange(1, 41)}"
                app.execute(
                    "UPDATE legacy_notes AS n SET customer_id = c.id, body = c.name FROM customers AS c"
                    " WHERE n.id = 98 AND c.name = %s",
                    (name,),
                )
            case _:
                name, plan = f"L{dice.randrange(1, 41)}", dice.randrange(1000)
                with app.transaction():
                    if app.execute("UPDATE customers SET plan = %s WHERE name = %s", (plan, name)).rowcount:
                        self.plan[name] = plan

    def expected(self) -> list[tuple[str, str, int | None]]:
        found = {f"C{i}": f"c{i}" for i in range(1, 201)} | {f"L{i}": f"l{i}" for i in range(1, 301)}
        found |= self.made | self.mail
        return sorted((name, mail, self.plan.get(name)) for name, mail in found.items() if name not in self.gone)


AS_NEW = "SELECT name, mail, plan FROM customers ORDER BY name"
AS_OLD = "SELECT full_name, mail, plan FROM legacy_customers ORDER BY full_name"


def test_no_statement_of_either_version_fails_and_no_write_is_lost_though_the_runner_dies(scene: Scene) -> None:
    scene.sql(TABLES)
    spec(scene, MERGE, more="backfill: {target: 20ms}\n" + SOON)
    clients = Clients()

    scene.up(through="expand")
    with Writers(scene.connect, clients.old, clients.old, clients.new, pause=0.005) as both:
        for count in (7, 15, 26):
            assert scene.start_process(fault=f"any:{count}", through="validate").ending().killed
            run_out_leases(scene)
        scene.up(through="validate")
    assert scene.sql(AS_OLD) == [row for row in clients.expected() if row[0][0] in "LO"]
    with Writers(scene.connect, clients.new, pause=0.005) as alone:
        assert scene.up().ended == "complete"

    assert (both.failures, alone.failures) == ([], [])
    assert both.statements > 30
    assert scene.sql(AS_NEW) == clients.expected()
    assert scene.one(WRONG) == 0
    assert scene.own_objects() == []


@pytest.mark.parametrize("through", ["validate", "archive"])
def test_what_both_wrote_is_there_for_the_old_version_when_it_is_taken_back(scene: Scene, through: str) -> None:
    scene.sql(TABLES)
    spec(scene, MERGE)
    before = scene.schema()
    clients = Clients()

    scene.up(through="expand")
    with Writers(scene.connect, clients.old, clients.new, pause=0.005) as both:
        scene.up(through="validate")
    with Writers(scene.connect, clients.new, pause=0.005) as alone:
        scene.up(through=through)
    scene.sql("DELETE FROM legacy_notes WHERE body LIKE 'N%'")
    # The old version goes on while it is taken back, if it has its table.
    staying = [clients.old, clients.old] if through == "validate" else []
    with Writers(scene.connect, *staying, pause=0.005) as old:
        assert scene.rollback().ended == "undone"

    assert (both.failures, alone.failures, old.failures) == ([], [], [])
    assert scene.schema() == before
    assert scene.sql(AS_OLD) == [row for row in clients.expected() if row[0][0] in "LO"]
    assert scene.sql(AS_NEW) == [row for row in clients.expected() if row[0][0] in "CN"]


def test_a_runner_killed_again_and_again_ends_as_an_undisturbed_one(scene: Scene) -> None:
    scene.sql(TABLES)
    spec(scene, MERGE, more=SOON)

    kills = run_until_complete(scene, [f"any:{count}" for count in (23, 61, 47, 83, 35, 71, 97, 55, 79, 41)])

    assert kills >= 5
    legacy = [(f"L{i}", f"l{i}", "legacy") for i in range(1, 301)]
    assert scene.sql(HELD) == sorted([(f"C{i}", f"c{i}", "shop") for i in range(1, 201)] + legacy)
    assert scene.one(WRONG) == 0
    assert scene.own_objects() == []


def test_a_rollback_killed_again_and_again_leaves_all_as_it_was(scene: Scene) -> None:
    scene.sql(TABLES)
    spec(scene, MERGE)
    before = scene.schema(), rows(scene)
    scene.up(through="archive")

    kills = run_until_complete(scene, [f"any:{count}" for count in (19, 37, 53, 29, 67, 43)], act="rollback")

    assert kills >= 3
    assert (scene.schema(), rows(scene)) == before


@pytest.fixture
def merged(scene: Scene) -> Scene:
    """Both tables in step."""
    scene.sql(TABLES)
    spec(scene, MERGE, more=SOON)
    scene.up(through="validate")
    return scene


def held(scene: Scene, number: int = 1) -> list[tuple[object, ...]]:
    """Mail and plan of a row, and of its like."""
    row = scene.sql(f"SELECT mail, plan FROM legacy_customers WHERE id = {number}")
    return [*row, *scene.sql(f"SELECT mail, plan FROM customers WHERE name = 'L{number}'")]


def conflicts(scene: Scene) -> int:
    return scene.ledger().count_conflicts("m", most=10)


def test_each_column_that_both_sides_wrote_while_the_other_was_held_is_carried_from_where_it_was_written(
    merged: Scene,
) -> None:
    with merged.connect() as old, merged.connect() as new:
        old.execute("BEGIN")
        new.execute("BEGIN")
        new.execute("SELECT FROM customers WHERE name = 'L1' FOR UPDATE")
        old.execute("UPDATE legacy_customers SET mail = 'old' WHERE id = 1")
        new.execute("UPDATE customers SET plan = 8 WHERE name = 'L1'")
        old.execute("COMMIT")
        new.execute("COMMIT")

    assert held(merged) == [("old", 8), ("old", 8)]
    assert conflicts(merged) == 0


def test_what_is_written_and_deleted_while_the_other_row_is_held_is_carried_before_contract(merged: Scene) -> None:
    with merged.connect() as holder, holder.transaction():
        holder.execute("SELECT FROM customers WHERE name IN ('L1', 'L2') FOR UPDATE")
        merged.sql("UPDATE legacy_customers SET mail = 'alone' WHERE id = 1")
        merged.sql("DELETE FROM legacy_customers WHERE id = 2")
    assert held(merged) == [("alone", None), ("l1", None)]
    assert held(merged, 2) == [("l2", None)]
    assert conflicts(merged) == 2

    assert merged.up().ended == "complete"

    assert merged.sql("SELECT mail FROM customers WHERE name IN ('L1', 'L2')") == [("alone",)]


def test_a_row_that_cannot_be_made_at_once_is_made_when_it_can(merged: Scene) -> None:
    with merged.connect() as holder, holder.transaction(force_rollback=True):
        holder.execute("INSERT INTO customers (name, mail) VALUES ('never', 'l301')")
        merged.sql("INSERT INTO legacy_customers (id, full_name, mail) VALUES (301, 'L301', 'l301')")
    assert conflicts(merged) == 1

    assert merged.up().ended == "complete"

    assert merged.sql("SELECT mail, source FROM customers WHERE name = 'L301'") == [("l301", "legacy")]


def test_a_row_that_refers_to_nothing_is_told_before_it_is_bound(scene: Scene) -> None:
    scene.sql(TABLES)
    spec(scene, MERGE, more=SOON)
    scene.up(through="backfill")
    scene.sql("INSERT INTO legacy_notes (id, customer_id) VALUES (1000, 4000)")

    with pytest.raises(Exception, match="1 rows of legacy_notes without a row in customers"):
        scene.up()


def test_truncate_of_the_table_that_goes_takes_its_likes_and_that_of_the_kept_one_takes_no_row(scene: Scene) -> None:
    scene.sql(TABLES + "; DROP TABLE orders, legacy_notes")
    spec(scene, MERGE.rpartition("\n")[0], more=SOON)
    scene.up(through="validate")

    scene.sql("TRUNCATE customers")
    assert scene.sql("SELECT count(*), min(source), max(mail) FROM customers") == [(300, "legacy", "l99")]
    scene.sql("INSERT INTO customers (name) VALUES ('N')")
    scene.sql("TRUNCATE legacy_customers")

    assert scene.sql("SELECT name FROM customers") == [("N",)]
    assert scene.up().ended == "complete"


def test_a_row_that_the_kept_table_cannot_hold_is_in_conflict_until_it_is_mended(scene: Scene) -> None:
    scene.sql(TABLES)
    scene.sql("UPDATE legacy_customers SET mail = 'c1' WHERE id = 1")
    spec(scene, MERGE, more=SOON)

    scene.up(through="expand")
    scene.sql("INSERT INTO legacy_customers (id, full_name, mail) VALUES (301, 'L301', 'c2')")
    with pytest.raises(Exception, match="2 rows in conflict"):
        scene.up()
    scene.sql("UPDATE legacy_customers SET mail = 'free' WHERE id = 1")
    scene.sql("DELETE FROM orders")
    scene.sql("DELETE FROM customers WHERE name = 'C2'")

    assert scene.up().ended == "complete"

    assert scene.sql("SELECT name, mail FROM customers WHERE name IN ('L1', 'L301')") == [
        ("L1", "free"),
        ("L301", "c2"),
    ]
    assert scene.one(WRONG) == 0


def test_until_validate_a_like_gives_way_to_a_row_of_the_kept_table(scene: Scene) -> None:
    scene.sql(TABLES)
    scene.sql("CREATE UNIQUE INDEX lower_mail ON customers (lower(mail)) WHERE plan IS NULL")
    spec(scene, MERGE, more=SOON)
    scene.up(through="backfill")

    scene.sql("INSERT INTO customers (name, mail) VALUES ('new', 'l1'), ('other', 'L2')")
    scene.sql("UPDATE customers SET mail = 'l3' WHERE name = 'C1'")
    assert scene.one("SELECT count(*) FROM customers WHERE name IN ('L1', 'L2', 'L3')") == 0
    assert scene.one("SELECT count(*) FROM legacy_customers WHERE id IN (1, 2, 3)") == 3
    assert conflicts(scene) == 3

    with pytest.raises(Exception, match="3 rows in conflict"):
        scene.up()
    with pytest.raises(psycopg.errors.UniqueViolation):
        scene.sql("INSERT INTO customers (name, mail) VALUES ('late', 'l4')")
    scene.sql("UPDATE legacy_customers SET mail = mail || ' too' WHERE id IN (1, 2, 3)")
    assert scene.up().ended == "complete"
    assert scene.one("SELECT count(*) FROM customers WHERE mail LIKE '% too'") == 3
    assert scene.one(WRONG) == 0


def test_a_like_that_others_refer_to_stays_and_the_way_back_says_so_before_it_begins(merged: Scene) -> None:
    merged.sql("INSERT INTO orders SELECT 1000, id FROM customers WHERE name = 'L1'")

    with pytest.raises(Exception, match="that others refer to"):
        merged.rollback()
    assert held(merged) == [("l1", None), ("l1", None)]
    merged.sql("DELETE FROM orders WHERE id = 1000")

    assert merged.rollback().ended == "undone"


def test_what_is_noted_is_carried_before_the_way_back(merged: Scene) -> None:
    with merged.connect() as holder, holder.transaction():
        holder.execute("SELECT FROM customers WHERE name = 'L2' FOR UPDATE")
        holder.execute("SELECT FROM legacy_customers WHERE id = 1 FOR UPDATE")
        merged.sql("UPDATE customers SET plan = 9 WHERE name = 'L1'")
        merged.sql("DELETE FROM legacy_customers WHERE id = 2")
    assert conflicts(merged) == 2

    assert merged.rollback().ended == "undone"

    assert merged.one("SELECT plan FROM legacy_customers WHERE id = 1") == 9
    assert merged.one("SELECT count(*) FROM customers") == 200


def test_a_row_that_refers_to_what_only_the_kept_table_has_is_asked_about_before_the_way_back(merged: Scene) -> None:
    merged.sql("INSERT INTO legacy_notes (id, customer_id) SELECT 1000, id FROM customers WHERE name = 'C1'")

    with pytest.raises(Exception, match="refer to customers alone"):
        merged.rollback()
    merged.sql("UPDATE legacy_notes SET customer_id = (SELECT id FROM customers WHERE name = 'L7') WHERE id = 1000")

    assert merged.rollback().ended == "undone"
    assert merged.one("SELECT legacy_customer_id FROM legacy_notes WHERE id = 1000") == 7


def test_keys_given_by_hand_and_keys_that_change_do_not_part_a_row_from_its_like(merged: Scene) -> None:
    last = merged.one("SELECT max(id) FROM customers")
    merged.sql(f"INSERT INTO customers (id, name) VALUES ({last + 1}, 'by hand')")
    merged.sql("INSERT INTO legacy_customers (id, full_name, mail) VALUES (301, 'L301', 'l301')")
    merged.sql("DELETE FROM legacy_notes WHERE body = 'L1'")
    merged.sql("UPDATE customers SET id = 100000 WHERE name = 'L1'")
    merged.sql("UPDATE legacy_customers SET id = 5000 WHERE id = 1")
    merged.sql("UPDATE legacy_customers SET plan = 3 WHERE id IN (301, 5000)")

    assert merged.sql("SELECT name, mail, plan FROM customers WHERE plan = 3 OR name = 'by hand' ORDER BY 1") == [
        ("L1", "l1", 3),
        ("L301", "l301", 3),
        ("by hand", None, None),
    ]
    assert merged.up().ended == "complete"


ROLES = """
CREATE ROLE merge_owner; CREATE ROLE merge_old; CREATE ROLE merge_new;
GRANT CREATE, USAGE ON SCHEMA public TO merge_owner;
ALTER TABLE customers OWNER TO merge_owner; ALTER TABLE legacy_customers OWNER TO merge_owner;
ALTER TABLE legacy_notes OWNER TO merge_owner; ALTER TABLE orders OWNER TO merge_owner;
GRANT ALL ON legacy_customers, legacy_notes, legacy_customers_id_seq TO merge_old;
GRANT ALL ON customers TO merge_new"""
NO_ROLES = "DROP OWNED BY merge_owner, merge_old, merge_new CASCADE; DROP ROLE merge_owner, merge_old, merge_new"


def test_an_ordinary_owner_merges_and_a_writer_of_one_table_needs_no_right_on_the_other(scene: Scene) -> None:
    scene.sql(TABLES + ";" + ROLES)
    database = scene.one("SELECT quote_ident(current_database())")
    scene.sql(f"GRANT CREATE ON DATABASE {database} TO merge_owner")
    (scene.root / "databases.yaml").write_text("app: {url: env:APP_URL, role: merge_owner}\n")
    spec(scene, MERGE, more=SOON)
    try:
        scene.up(through="validate")
        with scene.connect() as old, scene.connect() as new:
            old.execute("SET ROLE merge_old")
            old.execute("INSERT INTO legacy_customers (id, full_name, mail) VALUES (301, 'L301', 'x')")
            old.execute("INSERT INTO legacy_notes VALUES (1000, 301, 'L301')")
            old.execute("UPDATE legacy_customers SET mail = 'y' WHERE id = 301")
            new.execute("SET ROLE merge_new")
            new.execute("UPDATE customers SET plan = 4 WHERE name = 'L301'")
        assert held(scene, 301) == [("y", 4), ("y", 4)]
        scene.rollback()
        assert scene.up().ended == "complete"
        assert scene.own_objects() == []
    finally:
        scene.sql(NO_ROLES)
