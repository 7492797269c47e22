"""merge_tables where what both versions do meets: deletes, keys, unique rules, triggers of the user's."""

from __future__ import annotations

import pytest
from tests.changes.life import spec
from tests.changes.test_merge_tables import MERGE, SOON, TABLES, WRONG
from tests.scene import Scene

from crossfade.execute import Notice, Runner, StepStarted

ALONE = MERGE.rpartition("\n")[0]  # nothing refers


def merged(scene: Scene, script: str, *, through: str = "validate", change: str = MERGE, more: str = SOON) -> None:
    scene.sql(f"{TABLES}; {script}")
    spec(scene, change, more=more)
    scene.up(through=through)


def of(scene: Scene, name: str) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """Mail and plan of a row, and of its like."""
    return (
        scene.sql(f"SELECT mail, plan FROM legacy_customers WHERE full_name = '{name}'"),
        scene.sql(f"SELECT mail, plan FROM customers WHERE name = '{name}'"),
    )


def conflicts(scene: Scene) -> int:
    return scene.ledger().count_conflicts("m", most=10)


def test_what_one_side_deleted_while_the_other_was_held_stays_deleted_whatever_that_one_writes(scene: Scene) -> None:
    merged(scene, "")

    with scene.connect() as old, old.transaction():
        old.execute("SELECT FROM legacy_customers WHERE id = 1 FOR UPDATE")
        scene.sql("DELETE FROM customers WHERE name = 'L1'")
        old.execute("UPDATE legacy_customers SET full_name = 'L1!', mail = 'm', plan = 1 WHERE id = 1")
    with scene.connect() as new, new.transaction():
        new.execute("SELECT FROM customers WHERE name = 'L2' FOR UPDATE")
        scene.sql("DELETE FROM legacy_customers WHERE id = 2")
        new.execute("UPDATE customers SET name = 'L2!', mail = 'n', plan = 1 WHERE name = 'L2'")

    assert of(scene, "L1!") == ([], [])
    assert of(scene, "L2!")[0] == []

    assert scene.up().ended == "complete"
    assert of_kept(scene, "L1!", "L2!") == []
    assert scene.one("SELECT count(*) FROM legacy_notes WHERE body IN ('L1', 'L2')") == 0


def test_a_key_that_changes_after_archive_goes_with_its_row_on_the_way_back(scene: Scene) -> None:
    merged(scene, "", through="archive", more="contract: {stages: [{retire: {}}, {archive: {keep: 1d}}, {drop: {}}]}\n")
    scene.sql("DELETE FROM legacy_notes WHERE body = 'L1'")
    scene.sql("UPDATE customers SET id = 100000, plan = 5 WHERE name = 'L1'")

    assert scene.rollback().ended == "undone"

    assert of(scene, "L1") == ([("l1", 5)], [])
    assert scene.own_objects() == []


DRAWN = """CREATE SEQUENCE counted START 5000;
CREATE FUNCTION drawn() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN nextval('counted'); END $$;
ALTER TABLE customers ALTER id DROP IDENTITY, ALTER id SET DEFAULT drawn()"""


def test_a_default_of_the_key_is_asked_where_sessions_look_names_up(scene: Scene) -> None:
    merged(scene, DRAWN, through="expand")

    scene.sql("INSERT INTO legacy_customers (id, full_name, mail) VALUES (301, 'L301', 'l301')")

    assert scene.sql("SELECT id FROM customers WHERE name = 'L301'") == [(5000,)]
    assert scene.up().ended == "complete"


def test_until_validate_a_like_gives_way_though_its_row_is_held_or_null_is_what_both_have(scene: Scene) -> None:
    merged(scene, "CREATE UNIQUE INDEX ON customers (plan) NULLS NOT DISTINCT WHERE source <> 'shop' AND mail IS NULL;"
           "UPDATE legacy_customers SET mail = NULL WHERE id = 2", through="backfill")  # fmt: skip

    with scene.connect() as old, old.transaction():
        old.execute("SELECT FROM legacy_customers WHERE id = 1 FOR UPDATE")
        scene.sql("INSERT INTO customers (name, mail) VALUES ('first', 'l1')")
        old.execute("UPDATE legacy_customers SET plan = 4 WHERE id = 1")
    scene.sql("INSERT INTO customers (name, source) VALUES ('second', 'other')")

    assert (of(scene, "L1"), of(scene, "L2")) == (([("l1", 4)], []), ([(None, None)], []))
    assert conflicts(scene) == 2
    scene.sql("UPDATE legacy_customers SET mail = 'free' || id WHERE id IN (1, 2)")
    assert scene.up().ended == "complete"
    assert of_kept(scene, "L1", "L2") == [("free1", 4), ("free2", None)]
    assert scene.one(WRONG) == 0


def of_kept(scene: Scene, *names: str) -> list[tuple[object, ...]]:
    listed = ", ".join(f"'{name}'" for name in names)
    return scene.sql(f"SELECT mail, plan FROM customers WHERE name IN ({listed}) ORDER BY mail")


def test_a_row_in_conflict_and_its_children_do_not_hinder_the_way_back(scene: Scene) -> None:
    merged(scene, "UPDATE legacy_customers SET mail = 'c1' WHERE id = 1", through="backfill")
    assert conflicts(scene) == 1

    assert scene.rollback().ended == "undone"

    assert scene.one("SELECT count(*) FROM legacy_notes WHERE legacy_customer_id = 1") == 2


def test_a_key_given_by_hand_takes_nothing_from_a_row_in_conflict_that_has_drawn_it(scene: Scene) -> None:
    merged(scene, "UPDATE legacy_customers SET mail = 'c1' WHERE id = 1", through="backfill")
    drawn = scene.one("SELECT customer_id FROM legacy_notes WHERE body = 'L1' LIMIT 1")

    scene.sql(f"INSERT INTO customers (id, name, mail) VALUES ({drawn}, 'by hand', 'hand')")
    scene.sql(f"INSERT INTO legacy_notes (id, customer_id, body) VALUES (1000, {drawn}, 'by hand')")
    assert scene.sql("SELECT legacy_customer_id FROM legacy_notes WHERE id = 1000") == [(None,)]
    scene.sql("UPDATE legacy_customers SET mail = 'free' WHERE id = 1")

    assert scene.up().ended == "complete"
    assert of_kept(scene, "L1", "by hand") == [("free", None), ("hand", None)]
    assert scene.one(WRONG) == 0


def test_keys_that_are_drawn_again_after_truncate_are_not_those_of_likes(scene: Scene) -> None:
    merged(scene, "DROP TABLE orders, legacy_notes", change=ALONE)

    scene.sql("TRUNCATE customers RESTART IDENTITY")
    scene.sql("INSERT INTO customers (name) SELECT 'N' || i FROM generate_series(1, 250) AS i")

    assert scene.one("SELECT count(*) FROM customers") == 550
    assert scene.up().ended == "complete"


LOWER = """CREATE FUNCTION lowered() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN new.mail := lower(new.mail); RETURN new; END $$;
CREATE TRIGGER lowered BEFORE INSERT OR UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION lowered();
UPDATE legacy_customers SET mail = 'UPPER' WHERE id = 2"""


def test_what_a_trigger_of_the_kept_table_makes_of_a_value_is_carried_back(scene: Scene) -> None:
    merged(scene, LOWER, through="expand", more="backfill: {fire_triggers: true}\n" + SOON)

    scene.sql("INSERT INTO legacy_customers (id, full_name, mail) VALUES (301, 'L301', 'New')")
    scene.sql("UPDATE legacy_customers SET mail = 'WRITTEN' WHERE id = 301; UPDATE legacy_customers SET plan = 1")
    scene.up(through="validate")

    assert of(scene, "L301") == ([("written", 1)], [("written", 1)])
    assert of(scene, "L2") == ([("upper", 1)], [("upper", 1)])
    assert scene.up().ended == "complete"


COUNTING = """ALTER TABLE customers ADD version int; ALTER TABLE legacy_customers ADD version int;
CREATE FUNCTION counting() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN new.version := coalesce(new.version, 0) + 1; RETURN new; END $$;
CREATE TRIGGER counting BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION counting();
CREATE TRIGGER counting BEFORE UPDATE ON legacy_customers FOR EACH ROW EXECUTE FUNCTION counting()"""


def test_triggers_that_never_agree_end_in_a_row_in_conflict_and_not_in_a_failure(scene: Scene) -> None:
    merged(scene, COUNTING)

    scene.sql("UPDATE legacy_customers SET plan = 1 WHERE id = 1")

    assert scene.sql("SELECT sqlstate FROM crossfade.conflict WHERE resolved_at IS NULL") == [("CF003",)]
    with pytest.raises(Exception, match="1 rows in conflict"):
        scene.up()
    scene.sql("DROP TRIGGER counting ON legacy_customers; UPDATE legacy_customers SET plan = 2 WHERE id = 1")
    assert scene.up().ended == "complete"


def test_a_foreign_key_is_proved_when_what_refers_to_a_like_that_is_gone_has_been_carried(scene: Scene) -> None:
    scene.sql(TABLES)
    spec(scene, MERGE, more=SOON)
    scene.up(through="backfill")

    def listen(notice: Notice) -> None:
        if isinstance(notice, StepStarted) and "bind new rows to legacy_notes_customer" in notice.step.title:
            with scene.connect() as old, old.transaction():
                old.execute("SELECT FROM legacy_customers WHERE id = 1 FOR UPDATE")
                scene.sql("DELETE FROM customers WHERE name = 'L1'")

    assert Runner(scene.project(), listen).advance(scene.migration()).ended == "complete"
    assert scene.one("SELECT count(*) FROM legacy_notes WHERE body = 'L1'") == 0


def test_rows_in_conflict_are_tried_again_a_hundred_at_a_time(scene: Scene) -> None:
    merged(scene, "UPDATE legacy_customers SET mail = 'c1' WHERE id <= 250", through="backfill")

    with pytest.raises(Exception, match="250 rows in conflict"):
        scene.up()

    assert scene.one("SELECT count(DISTINCT xmin::text) FROM crossfade.conflict WHERE resolved_at IS NULL") == 3
