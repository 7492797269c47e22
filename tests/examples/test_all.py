"""The folder of examples: sound, listed, and each of them lived through."""

from __future__ import annotations

import importlib
import pkgutil
import re

import tests.examples
from tests.examples.example import FOLDER, Example

from crossfade.changes import CHANGES
from crossfade.gates import GATES
from crossfade.spec import load_project

PROJECT = load_project(FOLDER.parent, changes=CHANGES, gates=GATES)


def test_the_readme_lists_every_example_with_its_title() -> None:
    listed = re.findall(
        r"^\| \[(\w+)\]\(migration_specs/(\S+)\) \| (.*) \|$", (FOLDER.parent / "README.md").read_text(), re.MULTILINE
    )
    assert listed == [(each.id, each.path.name, each.head.title) for each in PROJECT.migrations]


def test_every_example_is_lived_through() -> None:
    modules = (module.name for module in pkgutil.iter_modules(tests.examples.__path__) if module.name != "test_all")
    listed = (vars(importlib.import_module(f"tests.examples.{name}")).get("EXAMPLES", ()) for name in modules)
    lived: list[Example] = [example for examples in listed for example in examples]
    assert sorted(example.migration for example in lived) == sorted(each.id for each in PROJECT.migrations)
