"""What a database or role sets for its sessions changes nothing of what a fragment means."""

from __future__ import annotations

from tests.scene import Scene

UNUSUAL = {
    "standard_conforming_strings": "off",
    "backslash_quote": "off",
    "intervalstyle": "iso_8601",
    "bytea_output": "escape",
    "extra_float_digits": "-3",
    "datestyle": "German",
    "statement_timeout": "500ms",
    "default_transaction_read_only": "on",
}


def test_rows_are_mapped_alike_by_backfill_and_trigger_under_unusual_settings(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, span interval, bytes bytea, n float8, day date)")
    row = "interval '1 day 2 hours', decode('00ff', 'hex'), 0.1::float8 + 0.2::float8, date '2024-03-01'"
    scene.sql(f"INSERT INTO items SELECT i, {row} FROM generate_series(1, 100) AS i")
    scene.spec(
        r"""
changes:
  - add_column:
      table: items
      column: said
      type: text
      up: >-
        concat_ws('\n', span::text, bytes::text, n::text, day::text)
"""
    )
    database = scene.one("SELECT quote_ident(current_database())")
    for name, value in UNUSUAL.items():
        scene.sql(f"ALTER DATABASE {database} SET {name} TO '{value}'")

    scene.up(through="backfill")
    with scene.connect() as application:
        application.execute("SET default_transaction_read_only = off; SET statement_timeout = 0")
        application.execute(f"INSERT INTO items (id, span, bytes, n, day) SELECT 101, {row}".encode())

    assert scene.up().ended == "complete"
    assert scene.sql("SELECT DISTINCT said FROM items") == [
        (r"1 day 02:00:00\n\x00ff\n0.30000000000000004\n2024-03-01",)
    ]
