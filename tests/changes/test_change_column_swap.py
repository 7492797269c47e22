"""change_column where values change: a new column beside the old one takes over its name, and gives it back."""

from __future__ import annotations

import re

import pytest
from tests.changes.conftest import Live
from tests.changes.life import Lived, spec
from tests.scene import Scene

SCHEMA = """
CREATE TABLE items (
  id int PRIMARY KEY,
  code text NOT NULL DEFAULT '00' CONSTRAINT codes UNIQUE,
  size int CONSTRAINT positive CHECK (size > 0),
  seen text,
  mail text,
  kind varchar(20) COLLATE "C",
  price numeric(10,2) DEFAULT 0);
COMMENT ON COLUMN items.code IS 'as printed';
CREATE INDEX by_code ON items (code, id DESC);
INSERT INTO items VALUES (1, '01', 1, '2024-07-01 12:00', 'Ann@x.org', 'a', 1.5),
                         (2, '2', NULL, NULL, NULL, NULL, NULL)"""
LOW = "{type: text, unique: true, check: mail = lower(mail), comment: low}"
CENTS = "{type: integer, default: null}"
CHANGES = (
    "change_column: {table: items, column: code, to: {type: integer, default: 0}}",
    "change_column: {table: items, column: size, to: {type: bigint, nullable: false}, up: 'coalesce(size, 1)::bigint'}",
    "change_column: {table: items, column: seen, to: {type: timestamptz}}",
    f"change_column: {{table: items, column: mail, to: {LOW}, up: lower(mail), down: mail}}",
    "change_column: {table: items, column: kind, to: {type: varchar(5)}}",
    f"change_column: {{table: items, column: price, to: {CENTS}, up: 'price * 100', down: 'price / 100.0'}}",
)


@pytest.fixture(scope="module")
def lived(live: Live) -> Lived:
    return live(SCHEMA, *CHANGES)


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("    code ", "code integer DEFAULT 0 NOT NULL"),
        ("    size ", "size bigint NOT NULL"),
        ("    seen ", "seen timestamp with time zone"),
        ("    mail ", "mail text"),
        ("    kind ", 'kind character varying(5) COLLATE pg_catalog."C"'),
        ("    price ", "price integer"),
        ("by_code", "CREATE INDEX by_code ON public.items USING btree (code, id DESC)"),
        ("codes", "ADD CONSTRAINT codes UNIQUE (code)"),
        ("positive", "CONSTRAINT positive CHECK ((size > 0))"),
        ("mail_check", "CONSTRAINT items_mail_check CHECK ((mail = lower(mail)))"),
        ("mail_key", "ADD CONSTRAINT items_mail_key UNIQUE (mail)"),
        ("printed", "COMMENT ON COLUMN public.items.code IS 'as printed'"),
        ("'low'", "COMMENT ON COLUMN public.items.mail IS 'low'"),
    ],
)
def test_the_column_and_what_stands_on_it_is_what_it_shall_be(lived: Lived, word: str, line: str) -> None:
    assert lived.lines(word) == [line]


def test_every_value_is_mapped(lived: Lived) -> None:
    assert lived.scene.sql(
        "SELECT id, code, size, seen = '2024-07-01 12:00+00', mail, kind, price FROM items ORDER BY id"
    ) == [(1, 1, 1, True, "ann@x.org", "a", 150), (2, 2, 1, None, None, None, None)]


BIGGER = "change_column: {table: items, column: size, to: {type: bigint}}"
AS_NUMBER = "change_column: {table: items, column: code, to: {type: integer, default: 0}}"


@pytest.fixture
def items(scene: Scene) -> Scene:
    scene.sql(SCHEMA)
    return scene


def test_the_old_application_sees_its_column_until_cutover_and_the_new_one_from_then_on(items: Scene) -> None:
    spec(items, AS_NUMBER)

    items.up(through="validate")
    assert items.one("SELECT pg_typeof(code)::text FROM items LIMIT 1") == "text"

    items.up(through="cutover")
    assert items.one("SELECT pg_typeof(code)::text FROM items LIMIT 1") == "integer"
    items.sql("INSERT INTO items (id) VALUES (3)")
    assert items.one("SELECT code FROM items WHERE id = 3") == 0


@pytest.mark.parametrize("leg", ["cutover", "archive", "drop"])
def test_it_can_be_undone_with_what_was_written_since(items: Scene, leg: str) -> None:
    before = items.schema()
    spec(items, AS_NUMBER)
    items.up(through=leg)
    items.sql("INSERT INTO items (id, code) VALUES (3, 3)")
    items.sql("UPDATE items SET code = 7 WHERE id = 2")
    items.sql("UPDATE items SET mail = 'x' WHERE id = 1")

    assert items.rollback().ended == "undone"

    assert items.sql("SELECT id, code FROM items ORDER BY id") == [(1, "01"), (2, "7"), (3, "3")]
    assert items.own_objects() == []
    assert (items.schema() == before) == (leg != "drop")  # a column that was dropped comes back as the last one


def test_it_can_be_done_again_after_it_was_undone(items: Scene) -> None:
    spec(items, AS_NUMBER)
    items.up(through="archive")
    items.rollback()

    assert items.up().ended == "complete"

    assert items.sql("SELECT code FROM items ORDER BY id") == [(1,), (2,)]


def test_new_values_that_the_old_type_cannot_hold_do_not_fail_after_cutover(items: Scene) -> None:
    spec(items, BIGGER)
    items.up(through="cutover")

    items.sql("INSERT INTO items (id, code, size) VALUES (3, '3', 3000000000)")
    items.sql("UPDATE items SET size = size + 3000000000 WHERE id = 1")
    items.sql("UPDATE items SET mail = 'x'")

    assert items.sql("SELECT size FROM items ORDER BY id") == [(3000000001,), (None,), (3000000000,)]
    assert items.up().ended == "complete"
    assert items.sql("SELECT size FROM items ORDER BY id") == [(3000000001,), (None,), (3000000000,)]


def test_rules_of_a_migration_that_enforces_in_contract_bind_no_old_writer(items: Scene) -> None:
    spec(items, AS_NUMBER, more="enforce: contract\n")

    items.up(through="validate")
    items.sql("INSERT INTO items (id, code) VALUES (3, '001')")  # the same number twice

    assert items.one("SELECT count(*) FROM items WHERE code::int = 1") == 2


def test_a_change_that_enforces_in_contract_binds_no_old_writer(items: Scene) -> None:
    spec(items, AS_NUMBER.replace("}}", "}, enforce: contract}"))

    items.up(through="validate")
    items.sql("INSERT INTO items (id, code) VALUES (3, '001')")

    assert items.one("SELECT count(*) FROM items WHERE code::int = 1") == 2


def test_rules_bind_old_writers_from_validate_on_with_an_error_that_names_the_migration(items: Scene) -> None:
    spec(items, AS_NUMBER)

    items.up(through="validate")

    with pytest.raises(Exception, match=r'unique constraint "_cf_m_codes_index_'):
        items.sql("INSERT INTO items (id, code) VALUES (3, '001')")


def test_a_rule_of_a_hidden_column_is_named_for_the_migration_and_the_column_once(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, code text)")
    spec(scene, "change_column: {table: items, column: code, to: {type: int, nullable: false}}")

    scene.up(through="validate")

    (name,) = scene.sql("SELECT conname FROM pg_constraint WHERE conrelid = 'items'::regclass AND contype = 'c'")
    assert re.fullmatch(r"_cf_m_code_not_null_[0-9a-f]{8}", name[0])


def test_a_partitioned_table_is_swapped(scene: Scene) -> None:
    scene.sql(
        "CREATE TABLE parts (id int PRIMARY KEY, code text NOT NULL) PARTITION BY RANGE (id);"
        "CREATE TABLE low PARTITION OF parts FOR VALUES FROM (0) TO (100);"
        "CREATE TABLE high PARTITION OF parts FOR VALUES FROM (100) TO (200);"
        "INSERT INTO parts VALUES (1, '01'), (101, '0101')"
    )
    spec(scene, "change_column: {table: parts, column: code, to: {type: integer}}")

    assert scene.up().ended == "complete"

    assert scene.sql("SELECT id, code FROM parts ORDER BY id") == [(1, 1), (101, 101)]
    assert scene.own_objects() == []


def test_swap_rename_and_drop_of_one_table_go_together_and_come_back_together(items: Scene) -> None:
    spec(
        items,
        BIGGER,
        "rename_column: {table: items, from: mail, to: address}",
        "drop_column: {table: items, column: price}",
    )

    assert items.up().ended == "complete"
    assert items.columns("items") == ["id", "code", "seen", "kind", "size", "address"]
    assert items.own_objects() == []

    items.rollback()
    assert items.sql("SELECT size, mail, price::text FROM items ORDER BY id") == [
        (1, "Ann@x.org", "1.50"),
        (None, None, None),
    ]
