"""docs/usage.md shows what the command says of those who write an old column."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import psycopg
from psycopg.conninfo import make_conninfo
from tests.cli.calls import Call
from tests.docs.markdown import DOCS, Page
from tests.scene import Scene

FENCES = Page(DOCS / "usage.md").fences
NOON = datetime(2026, 3, 25, 12, tzinfo=UTC)
MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC")


def test_the_example_is_what_the_command_says(scene: Scene) -> None:
    spec = next(f.text for f in FENCES if "count_writes" in f.text)
    (said,) = (f.text.strip() for f in FENCES if f.language == "text")
    scene.sql("CREATE TABLE users (id int PRIMARY KEY, email text)")
    scene.spec(spec)
    waiting = scene.up(through="retire").waiting
    with psycopg.connect(make_conninfo(scene.urls[scene.first], application_name="checkout 2.3")) as shop:
        for minute in (0,) * 11 + (1,):
            scene.set_clock(NOON + timedelta(minutes=minute))
            with shop.transaction():
                shop.execute("UPDATE users SET email = 'x' WHERE id = 1")
        user = shop.info.user

    told = Call(scene.root)("usage", "users.email")

    written = next(line.strip() for line in told.stdout.splitlines() if "written:" in line)
    expected = MOMENT.sub("TIME", said).replace("shop", user)
    assert [gate.label for gate in waiting] == ["unused users.email for 1d"]
    assert MOMENT.sub("TIME", written) == expected
    assert "used since" in told.stdout
    assert "by triggers: an INSERT that gives the column NULL" in told.stdout
    (waits,) = scene.up(through="retire").waiting
    assert f"written by {user} (checkout 2.3), at least 12 writes, last counted" in waits.answer.reason
    assert f"written by {user} (checkout 2.3)" in Call(scene.root)("why", "m").stdout
