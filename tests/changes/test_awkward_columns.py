"""Changes of columns as people meet them, each under two versions of a program that write all the time."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from tests.changes.life import spec
from tests.execute.writers import Writers
from tests.scene import Scene

from crossfade.spec.fragment import trusted

ROWS = 1500


@dataclass(frozen=True)
class Case:
    """One change of the table `things`, whose rows are `id` and what `columns` and `rows` say.

    rows: SQL over i that gives the old columns. old, new: what each version writes into its columns, made by chance.
    up: the old version's values -> what the new columns hold in the end, as text.
    """

    columns: str
    rows: str
    change: str
    old: Callable[[random.Random], dict[str, Any]]
    new: Callable[[random.Random], dict[str, Any]]
    up: Callable[[Mapping[str, Any]], dict[str, Any]]
    setup: str = ""
    swaps: bool = True

    def names(self) -> list[str]:
        return [*self.new(random.Random(0))]


def _flag(value: Mapping[str, Any]) -> dict[str, Any]:
    return {"deleted_at": "2024-01-01 00:00:00+00" if value["deleted"] else None}


CASES = {
    "a soft-delete flag to a timestamp": Case(
        "deleted boolean NOT NULL DEFAULT false, updated_at timestamptz NOT NULL DEFAULT '2024-01-01Z'",
        "i % 3 = 0 AS deleted",
        "change_column: {table: things, column: deleted, to: {name: deleted_at, type: timestamptz, nullable: true,"
        " default: null}, up: CASE WHEN deleted THEN updated_at END, down: deleted_at IS NOT NULL}",
        lambda dice: {"deleted": dice.random() < 0.5},
        lambda dice: {"deleted_at": dice.choice((None, "2025-02-03 00:00:00+00"))},
        _flag,
        swaps=False,
    ),
    "timestamps to timestamptz in a zone": Case(
        "seen timestamp",
        "'2024-03-30'::timestamp + i * interval '7 minutes' AS seen",
        "change_column: {table: things, column: seen, to: {type: timestamptz},"
        " up: seen AT TIME ZONE 'Europe/Oslo', down: seen AT TIME ZONE 'Europe/Oslo'}",
        lambda dice: {"seen": f"2024-07-{dice.randint(1, 31):02} 12:00:00"},
        lambda dice: {"seen": f"2024-12-{dice.randint(1, 31):02} 11:00:00+00"},
        lambda value: {"seen": f"{value['seen'][:11]}10:00:00+00"},
    ),
    "text to enum": Case(
        "state text NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'paid', 'sent'))",
        "(ARRAY['new', 'paid', 'sent'])[i % 3 + 1] AS state",
        "change_column: {table: things, column: state, to: {type: order_state, check: null}}",
        lambda dice: {"state": dice.choice(("new", "paid", "sent"))},
        lambda dice: {"state": dice.choice(("new", "paid", "sent", "lost"))},
        lambda value: {"state": value["state"]},
        setup="CREATE TYPE order_state AS ENUM ('new', 'paid', 'sent', 'lost'); CREATE INDEX ON things (state)",
    ),
    "json to jsonb": Case(
        "body json NOT NULL DEFAULT '{}'",
        "json_build_object('n', i) AS body",
        "change_column: {table: things, column: body, to: {type: jsonb}}",
        lambda dice: {"body": f'{{"o":{dice.randint(1, 9)}}}'},
        lambda dice: {"body": f'{{"p": {dice.randint(1, 9)}}}'},
        lambda value: {"body": value["body"].replace(":", ": ")},
    ),
    "money to numeric": Case(
        "price money DEFAULT 0",
        "(i % 1000)::numeric::money AS price",
        "change_column: {table: things, column: price, to: {type: 'numeric(12,2)', default: 0}}",
        lambda dice: {"price": f"{dice.randint(1, 99)}.25"},
        lambda dice: {"price": f"{dice.randint(100, 199)}.75"},
        lambda value: {"price": value["price"]},
    ),
    "float to numeric": Case(
        "rate double precision",
        "i / 8.0 AS rate",
        "change_column: {table: things, column: rate, to: {type: 'numeric(12,3)'}}",
        lambda dice: {"rate": f"{dice.randint(1, 99)}.125"},
        lambda dice: {"rate": f"{dice.randint(100, 199)}.250"},
        lambda value: {"rate": value["rate"]},
    ),
    "a full name split": Case(
        "full_name text NOT NULL",
        "'F' || i || ' L' || i AS full_name",
        "split_column: {table: things, column: full_name, into: {"
        "first: {type: text, up: \"split_part(full_name, ' ', 1)\", nullable: false},"
        " last: {type: text, up: \"nullif(split_part(full_name, ' ', 2), '')\"}},"
        " down: \"concat_ws(' ', first, last)\"}",
        lambda dice: {"full_name": f"O{dice.randint(1, 9)} P{dice.randint(1, 9)}"},
        lambda dice: {"first": f"N{dice.randint(1, 9)}", "last": dice.choice((None, "M"))},
        lambda value: dict(zip(("first", "last"), value["full_name"].split(" "), strict=True)),
        swaps=False,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_nothing_fails_and_nothing_is_lost(scene: Scene, name: str) -> None:
    case = CASES[name]
    scene.sql(f"CREATE TABLE things (id int PRIMARY KEY, {case.columns}, note text); {case.setup}")
    written = [*case.old(random.Random(0))]
    rows = f"SELECT i AS id, {case.rows} FROM generate_series(1, {ROWS}) AS i"
    scene.sql(f"INSERT INTO things (id, {', '.join(written)}) {rows}")
    spec(scene, case.change)
    before = scene.schema()
    scene.up(through="validate")
    scene.rollback()
    assert scene.schema() == before
    texts = ", ".join(f"{column}::text" for column in case.names())
    told: dict[int, dict[str, Any]] = {}
    lock = threading.Lock()

    def write(app: psycopg.Connection[Any], key: int, values: dict[str, Any], meant: dict[str, Any]) -> None:
        columns = ", ".join(f"{column} = %s" for column in values)
        app.execute(trusted(f"UPDATE things SET {columns} WHERE id = %s"), (*values.values(), key))
        with lock:
            told[key] = meant

    def old(app: psycopg.Connection[Any], dice: random.Random, _number: int) -> None:
        values = case.old(dice)
        write(app, dice.randrange(1, ROWS // 2), values, case.up(values))

    def new(app: psycopg.Connection[Any], dice: random.Random, _number: int) -> None:
        values = case.new(dice)
        write(app, dice.randrange(ROWS // 2, ROWS), values, values)

    def bystander(app: psycopg.Connection[Any], dice: random.Random, _number: int) -> None:
        app.execute("UPDATE things SET note = 'n' WHERE id = %s", (dice.randrange(1, ROWS),))

    # Under another name both versions write side by side, once every row has the new value to be read; under the same
    # one the new version begins at cutover.
    failures: list[str] = []
    courses = (
        ("backfill", (old, bystander)),
        ("validate", (old, bystander) if case.swaps else (old, new, bystander)),
        ("cutover" if case.swaps else None, (bystander,) if case.swaps else (new, bystander)),
        (None, (new, bystander)),
    )
    for leg, writes in courses:
        with Writers(scene.connect, *writes) as clients:
            scene.up(through=leg)
        failures += clients.failures

    assert failures == []
    assert scene.own_objects() == []
    rows_now = scene.sql(f"SELECT id, {texts} FROM things")
    found = {key: dict(zip(case.names(), values, strict=True)) for key, *values in rows_now}
    assert {key: found[key] for key in told} == told
