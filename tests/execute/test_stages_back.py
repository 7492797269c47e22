"""From every stage back to every earlier one and forward again, under a writer: nothing is lost."""

from __future__ import annotations

import random
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import errors
from tests.execute.writers import Writers
from tests.scene import Scene

from crossfade.execute import Blocked
from crossfade.execute.purge import expired, purge

ROWS = 20
RENAME = "changes: [{rename_column: {table: items, from: name, to: title}}]\n"
CHANGE = "changes: [{change_column: {table: items, column: name, to: {type: text}, up: lower(name), down: name}}]\n"
KINDS = {"rename": (RENAME, "retire"), "change": (CHANGE, "cutover")}
NOW = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)


class Application:
    """Writes the column by the name that it has, and remembers what it wrote."""

    def __init__(self) -> None:
        self.written: dict[int, str] = {}
        self.guard = threading.Lock()

    def write(self, connection: psycopg.Connection[Any], dice: random.Random, _number: int) -> None:
        row, value = dice.randrange(ROWS), f"value {dice.randrange(1000)}"
        with self.guard:
            try:
                connection.execute("UPDATE items SET name = %s WHERE id = %s", (value, row))
            except errors.UndefinedColumn:
                try:
                    connection.execute("UPDATE items SET title = %s WHERE id = %s", (value, row))
                except errors.UndefinedColumn:  # it has its old name again
                    return
            self.written[row] = value


@pytest.fixture
def items(scene: Scene) -> Scene:
    scene.sql("CREATE TABLE items (id bigint PRIMARY KEY, name varchar(40), hits integer)")
    scene.sql(f"INSERT INTO items SELECT i, 'value ' || i FROM generate_series(0, {ROWS} - 1) AS i")
    return scene


def shape(scene: Scene) -> list[str]:
    """The schema, whatever the order of columns: one that was dropped comes back as the last."""
    return sorted(line.strip(" ,") for line in scene.schema().splitlines() if line.strip())


def legs_of(kind: str) -> list[str]:
    return ["expand", "backfill", "validate", KINDS[kind][1], "archive", "drop"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("far", range(1, 6))
def test_from_each_stage_back_to_each_earlier_one(items: Scene, kind: str, far: int) -> None:
    items.spec(KINDS[kind][0] + "contract: {stages: [{cutover: {}}, {retire: {}}, {archive: {}}, {drop: {}}]}\n")
    application, legs = Application(), legs_of(kind)
    shapes: dict[str | None, list[str]] = {}

    def rows_are_as_written() -> None:
        with application.guard:
            column = "title" if "title" in items.columns("items") and "name" not in items.columns("items") else "name"
            there = dict(items.sql(f"SELECT id, {column} FROM items"))
            expected = {row: f"value {row}" for row in range(ROWS)} | application.written
        assert there == expected

    shapes[None] = shape(items)
    with Writers(items.connect, application.write) as writers:
        for leg in legs[: far + 1]:
            items.up(through=leg)
            shapes[leg] = shape(items)
            rows_are_as_written()
        for to in [*reversed(legs[:far]), None]:
            items.rollback(to=to)
            rows_are_as_written()
            assert shape(items) == shapes[to], f"{legs[far]} -> {to}"
            assert [*items.ledger().legs("m")] == (legs[: legs.index(to) + 1] if to else [])
            items.up(through=legs[far])
            rows_are_as_written()
            assert shape(items) == shapes[legs[far]], f"{to} -> {legs[far]}"
        items.up()

    rows_are_as_written()
    assert writers.failures == []


@pytest.mark.parametrize("to", [None, "expand", "validate", "retire", "archive"])
def test_purged_values_stop_the_way_back_to_where_they_were_kept_and_no_later(items: Scene, to: str | None) -> None:
    items.spec(RENAME + "contract: {stages: [{retire: {}}, {archive: {keep: 30d}}, {drop: {}}]}\n")
    items.set_clock(NOW)
    items.up()
    items.set_clock(NOW + timedelta(days=30))
    project, runner = items.project(), items.runner()
    assert len([*purge(project, expired(project), runner.holder, runner.listen)]) == 1
    before = items.schema()

    with pytest.raises(Blocked, match="were purged on 2031-06-05"):
        items.rollback(to=to)

    assert items.schema() == before
    assert items.ledger().migration("m").state == "complete"  # pyright: ignore[reportOptionalMemberAccess]


def test_what_is_past_its_keep_and_not_purged_still_comes_back(items: Scene) -> None:
    items.spec(RENAME + "contract: {stages: [{retire: {}}, {archive: {keep: 30d}}, {drop: {}}]}\n")
    items.set_clock(NOW)
    items.up()
    items.set_clock(NOW + timedelta(days=60))

    items.rollback()

    assert dict(items.sql("SELECT id, name FROM items")) == {row: f"value {row}" for row in range(ROWS)}
