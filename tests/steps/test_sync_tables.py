"""Tables of every shape stay in step: partitioned, without a key, with hard names, with several changes at once."""

from __future__ import annotations

import pytest
from tests.scene import Scene
from tests.steps.conftest import Begin

NUMBER = 'add_column: {table: items, column: number, type: integer, up: "code::integer", down: {code: "number::text"}}'


def test_rows_of_every_partition_are_mapped(begin: Begin) -> None:
    scene = begin(
        "CREATE TABLE items (id int, code text, PRIMARY KEY (id)) PARTITION BY RANGE (id);"
        "CREATE TABLE low PARTITION OF items FOR VALUES FROM (0) TO (100);"
        "CREATE TABLE high PARTITION OF items FOR VALUES FROM (100) TO (200) PARTITION BY RANGE (id);"
        "CREATE TABLE higher PARTITION OF high DEFAULT",
        NUMBER,
    )

    scene.sql("INSERT INTO items (id, code) VALUES (1, '01'), (101, '0101')")
    scene.sql("INSERT INTO low (id, number) VALUES (2, 2)")
    scene.sql("INSERT INTO higher (id, code) VALUES (102, 'abc')")
    scene.sql("UPDATE higher SET code = '0102' WHERE id = 102")

    assert scene.sql("SELECT id, code, number FROM items ORDER BY id") == [
        (1, "01", 1),
        (2, "2", 2),
        (101, "0101", 101),
        (102, "0102", 102),
    ]
    assert scene.sql("SELECT relation, resolved_at IS NULL FROM crossfade.conflict") == [("public.items", False)]


def test_a_row_that_moves_to_another_partition_keeps_both_sides(begin: Begin) -> None:
    scene = begin(
        "CREATE TABLE items (id int PRIMARY KEY, code text) PARTITION BY RANGE (id);"
        "CREATE TABLE low PARTITION OF items FOR VALUES FROM (0) TO (100);"
        "CREATE TABLE high PARTITION OF items FOR VALUES FROM (100) TO (200)",
        NUMBER,
    )
    scene.sql("INSERT INTO items (id, code) VALUES (1, '05')")

    scene.sql("UPDATE items SET id = 101")
    scene.sql("UPDATE items SET id = 2, number = 7")

    assert scene.sql("SELECT tableoid::regclass::text, code, number FROM items") == [("low", "7", 7)]


def test_a_partition_made_while_the_migration_runs_is_in_step(begin: Begin) -> None:
    scene = begin("CREATE TABLE items (id int PRIMARY KEY, code text) PARTITION BY RANGE (id)", NUMBER)

    scene.sql("CREATE TABLE late PARTITION OF items DEFAULT")
    scene.sql("INSERT INTO items (id, code) VALUES (1, '05')")

    assert scene.sql("SELECT code, number FROM items") == [("05", 5)]


def test_a_table_without_a_key_is_kept_in_step_and_its_conflicts_are_counted(begin: Begin) -> None:
    scene = begin("CREATE TABLE items (code text); INSERT INTO items VALUES ('05')", NUMBER)

    scene.sql("INSERT INTO items (number) VALUES (7)")
    scene.sql("INSERT INTO items (code) VALUES ('abc'), ('abd')")

    assert scene.sql("SELECT code, number FROM items ORDER BY code") == [
        ("05", None),
        ("7", 7),
        ("abc", None),
        ("abd", None),
    ]
    assert scene.sql("SELECT key, count(*) FROM crossfade.conflict GROUP BY key") == [(None, 2)]


HARD = [
    ("Items", "userName", "itemCode", "itemNumber"),
    ('quo"ted and spaced', 'the "key"', "code of it", "it's 100% {new}"),
    ("select", "from", "where", "group"),
    ("größe", "schlüssel", "straße", "日本語"),
    ("t" * 60, "k" * 60, "c" * 60, "n" * 60),
    ("t" * 63, "k" * 63, "c" * 63, "c" * 62 + "n"),
    ("$crossfade$", "a$b", "-- code", "/* new */"),
]


@pytest.mark.parametrize(("table", "key", "old", "new"), HARD, ids=[case[0][:20] for case in HARD])
def test_names_of_every_kind_are_quoted(begin: Begin, table: str, key: str, old: str, new: str) -> None:
    quoted_table, quoted_key, quoted_old, quoted_new = (
        '"' + name.replace('"', '""') + '"' for name in (table, key, old, new)
    )
    scene = begin(
        f"CREATE TABLE {quoted_table} ({quoted_key} int PRIMARY KEY, {quoted_old} text)",
        "\n".join(
            [
                "add_column:",
                f"      table: {yaml(table)}",
                f"      column: {yaml(new)}",
                "      type: integer",
                f"      up: {yaml(f'{quoted_old}::integer')}",
                f"      down: {{{yaml(old)}: {yaml(f'{quoted_new}::text')}}}",
            ]
        ),
    )

    scene.sql(f"INSERT INTO {quoted_table} ({quoted_key}, {quoted_old}) VALUES (1, '01'), (2, 'abc')")
    scene.sql(f"INSERT INTO {quoted_table} ({quoted_key}, {quoted_new}) VALUES (3, 3)")

    rows = scene.sql(f"SELECT {quoted_key}, {quoted_old}, {quoted_new} FROM {quoted_table} ORDER BY 1")
    assert rows == [(1, "01", 1), (2, "abc", None), (3, "3", 3)]
    assert scene.sql("SELECT relation, key FROM crossfade.conflict") == [(f"public.{table}", {key: 2})]


def yaml(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def test_a_generated_column_beside_goes_on(begin: Begin) -> None:
    scene = begin(
        "CREATE TABLE items (id int PRIMARY KEY, code text, shout text GENERATED ALWAYS AS (upper(code)) STORED)",
        "add_column: {table: items, column: copy, type: text, up: code, down: {code: copy}}",
    )

    scene.sql("INSERT INTO items (id, code) VALUES (1, 'a')")
    scene.sql("INSERT INTO items (id, copy) VALUES (2, 'b')")

    assert scene.sql("SELECT code, copy, shout FROM items ORDER BY id") == [("a", "a", "A"), ("b", "b", "B")]


def test_changes_of_one_table_share_one_function_and_two_triggers(begin: Begin) -> None:
    scene = begin(
        "CREATE TABLE items (id int PRIMARY KEY, code text, name text, size int)",
        NUMBER,
        "rename_column: {table: items, from: name, to: title}",
        "change_column: {table: items, column: size, to: {type: bigint}}",
    )

    assert (
        scene.one("SELECT count(*) FROM pg_trigger WHERE tgrelid = 'items'::regclass AND tgname LIKE '\\_cf\\_%'") == 2
    )
    assert scene.one("SELECT count(DISTINCT tgfoid) FROM pg_trigger WHERE tgrelid = 'items'::regclass") == 1


def test_user_triggers_that_fire_first_are_seen_by_the_sync(begin: Begin) -> None:
    scene = begin(
        "CREATE TABLE items (id int PRIMARY KEY, code text);"
        "CREATE FUNCTION pad() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN new.code := lpad(new.code, 4, '0'); RETURN new; END $$;"
        'CREATE TRIGGER "A_pad" BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION pad()',
        NUMBER,
    )

    scene.sql("INSERT INTO items (id, code) VALUES (1, '5')")

    assert scene.sql("SELECT code, number FROM items") == [("0005", 5)]


def test_the_function_a_dba_finds_says_what_it_is_for(begin: Begin) -> None:
    scene: Scene = begin("CREATE TABLE items (id int PRIMARY KEY, code text)", NUMBER)

    (found,) = scene.sql(
        "SELECT obj_description(oid), prosrc FROM pg_proc WHERE pronamespace = 'crossfade'::regnamespace"
        " AND proname LIKE '%\\_sync\\_%'"
    )
    assert found[0] == "crossfade: keeps public.items in step for old and new versions; migration m"
    assert "-- Keeps both versions' columns of public.items in step while migration m runs" in found[1]


def test_its_triggers_can_be_made_from_their_definitions_as_when_a_dump_is_restored(begin: Begin) -> None:
    scene = begin(
        "CREATE TABLE items (id int PRIMARY KEY, code text, place text); CREATE TABLE places (item int PRIMARY KEY)",
        NUMBER,
        "move_column: {table: items, column: place, to: places, by: {id: item}}",
    )
    again = scene.sql(
        "SELECT format('DROP TRIGGER %I ON %s; %s; ALTER TABLE %2$s ENABLE ALWAYS TRIGGER %1$I', tgname,"
        " tgrelid::regclass, pg_get_triggerdef(oid)) FROM pg_trigger WHERE tgname LIKE '\\_cf\\_%'"
    )

    for (statement,) in again:
        scene.sql(statement)
    scene.sql("INSERT INTO places VALUES (1); INSERT INTO items VALUES (1, '05', 'shelf'); UPDATE items SET code = '7'")

    assert len(again) > 3
    assert scene.sql("SELECT number, (SELECT place FROM places) FROM items") == [(7, "shelf")]
