"""A small year: each stage in its turn, none before its gates; and a judge that would say so if it were not."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance
from tests.conftest import Databases
from tests.year.drawn import BEGIN, DATABASES, DAY, LEGS, Approval, Door, Drawn, Hours, Soak, draw
from tests.year.judge import Judge
from tests.year.life import Year

from crossfade.ledger import EventRecord

DROP = Drawn(
    "m",
    "drop",
    ("shop",),
    "t",
    starts=0,
    after=None,
    keep=10,
    waits={
        "before brownout": (
            Soak(3),
            Door("d", ((0, 20), (30, 99))),
            Hours((0, 6), (9, 16), "Europe/Oslo"),
            Approval(1),
        ),
        "after archive": (Soak(5),),
    },
    text="",
)
RIGHT = [
    (0, "migration started"),
    *[(0, f"{leg} {what}") for leg in LEGS["drop"][:3] for what in ("started", "finished", "passed")],
    (3, "brownout started"),
    *[(3, f"brownout {what}") for what in ("began", "ended", "counted", "finished", "passed")],
    *[(3, f"retire {what}") for what in ("started", "finished", "passed")],
    *[(4, f"archive {what}") for what in ("started", "finished")],
    (8, "archive passed"),
    *[(8, f"drop {what}") for what in ("started", "finished", "passed")],
    (8, "migration complete"),
    (15, "old values purged"),
]


@pytest.mark.slow
def test_a_small_year_ends_with_every_stage_in_order_and_none_before_its_gates(
    tmp_path: Path, databases: Databases
) -> None:
    urls = dict(zip(DATABASES, databases(*DATABASES), strict=True))
    year = Year(tmp_path, urls, draw(4, seed=5, within=10), seed=5, every=5)
    with DagsterInstance.ephemeral() as instance:  # pyright: ignore[reportUnknownMemberType]  # Dagster's dict
        try:
            found = year.live(instance)
        finally:
            year.close()

    assert found.problems == []
    assert found.counts["stages begun"] >= 4 * 5


def judged(told: list[tuple[int, str]], *, approved: int = 2) -> list[str]:
    judge = Judge({"m": DROP}, {"m": [BEGIN + approved * DAY]}, BEGIN + 40 * DAY, timedelta(days=2))
    noon = BEGIN + timedelta(hours=11)
    body: dict[str, Any] = {"relation": "public.t"}
    events = [EventRecord(at, noon + day * DAY, "m", kind, "ada", body) for at, (day, kind) in enumerate(told)]
    return judge.problems({"shop": events})


def test_a_course_that_is_right_is_not_blamed() -> None:
    assert judged(RIGHT) == []


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ([(2 if day == 3 else day, kind) for day, kind in RIGHT], "Soak(days=3) did not hold"),
        ([(day + 22 if day >= 3 else day, kind) for day, kind in RIGHT], "Door"),
        ([(4 if kind == "archive passed" else day, kind) for day, kind in RIGHT], "after archive: Soak(days=5)"),
        ([each for each in RIGHT if not each[1].startswith("archive")], "drop started: after"),
        ([each for each in RIGHT if each[1] != "retire passed"], "archive started: after"),
        ([(12 if day == 15 else day, kind) for day, kind in RIGHT], "old values purged: kept until"),
        ([(18 if day == 15 else day, kind) for day, kind in RIGHT], "too late"),
        (RIGHT[:-1], "were never purged"),
        (RIGHT[:-2], "not complete"),
        ([*RIGHT[:10], (1, "paused"), *RIGHT[10:]], "while it was paused"),
        ([each for each in RIGHT if each[1] != "brownout ended"], "the columns are hidden still"),
        ([each for each in RIGHT if each[1] != "brownout began"], "nothing was hidden"),
        ([*RIGHT, (16, "drop undone")], "drop undone: with"),
    ],
)
def test_the_judge_finds_what_is_wrong(wrong: list[tuple[int, str]], words: str) -> None:
    assert words in "\n".join(judged(wrong))


@pytest.mark.parametrize("day", [-1, 4])
def test_the_judge_asks_for_an_approval_since_the_start_and_in_time(day: int) -> None:
    assert "Approval(after=1) did not hold" in "\n".join(judged(RIGHT, approved=day))
