"""The folder of examples: sound, listed, and each of them lived through."""

from __future__ import annotations

import re

import pytest
from tests.examples import (
    columns,
    duplicates,
    keys,
    logic,
    meanings,
    reshaped,
    rows,
    rules,
    shared,
    tables,
    types,
    values,
    versions,
)
from tests.examples.example import FOLDER, Example, live
from tests.scene import Scene

from crossfade.changes import CHANGES
from crossfade.gates import GATES
from crossfade.spec import load_project

PROJECT = load_project(FOLDER.parent, changes=CHANGES, gates=GATES)
GROUPS = (columns, duplicates, keys, logic, meanings, reshaped, rows, rules, shared, tables, types, values, versions)
FEW = 5_000  # rows; `python -m tests.examples` does it with ten times as many, or more
EXAMPLES: list[Example] = [example for group in GROUPS for example in group.EXAMPLES]


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_nobody_notices_and_nothing_is_lost(scene: Scene, example: Example) -> None:
    assert live(scene, example, FEW).failures == ()


def test_the_readme_lists_every_example_with_its_title() -> None:
    listed = re.findall(
        r"^\| \[(\w+)\]\(migration_specs/(\S+)\) \| (.*) \|$", (FOLDER.parent / "README.md").read_text(), re.MULTILINE
    )
    assert listed == [(each.id, each.path.name, each.head.title) for each in PROJECT.migrations]


def test_every_example_is_lived_through() -> None:
    assert sorted(example.migration for example in EXAMPLES) == sorted(each.id for each in PROJECT.migrations)
