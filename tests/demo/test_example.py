"""The repository's example project is what the demo runs and what a reader learns from: it must be right as it is."""

from __future__ import annotations

import pytest

from crossfade.changes import CHANGES
from crossfade.demo.place import example
from crossfade.gates import GATES
from crossfade.gates.expectations import checked_suites, missing_suites
from crossfade.spec import Project, load_project


@pytest.fixture(scope="module")
def project() -> Project:
    return load_project(example(), changes=CHANGES, gates=GATES)


def test_the_specs_load_in_the_order_the_demo_tells_them(project: Project) -> None:
    assert [migration.id for migration in project.migrations] == [
        "departures_as_timestamps",
        "flights_have_known_planes",
        "unknown_tail_numbers",
        "planes_say_when_built",
        "planes_without_speed",
    ]


def test_every_suite_is_sound_and_every_gate_finds_its_own(project: Project) -> None:
    assert checked_suites(project.root, project.databases) == ()
    assert missing_suites(project.root, project.migrations) == ()


def test_every_spec_tells_its_reader_who_and_why(project: Project) -> None:
    for migration in project.migrations:
        assert migration.head.owner
        assert migration.head.why
        assert migration.text.startswith("# yaml-language-server: $schema=../docs/migration.schema.json\n")


def test_an_editor_finds_the_schema_of_every_suite(project: Project) -> None:
    for suite in (project.root / "validations").iterdir():
        assert suite.read_text().startswith("# yaml-language-server: $schema=../docs/suite.schema.json\n")
