"""docs/dagster.md names every job with the fields of its Launchpad, and every sensor and schedule."""

from __future__ import annotations

import re

import pytest
from dagster import Shape
from tests.docs.markdown import DOCS, Page
from tests.scene import Scene

from crossfade.orchestrate import build_definitions

SECTION = Page(DOCS / "dagster.md").sections["sensors-and-jobs"]


def test_the_jobs_and_their_fields_are_those_that_dagster_shows(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crossfade.orchestrate.surveyed._WITHIN", 60.0)  # the machine may be busy
    repository = build_definitions(scene.root).get_repository_def()

    shown: dict[str, tuple[set[str], set[str]]] = {}
    for job in repository.get_all_jobs():
        if not job.name.startswith("__"):
            launchpad = job.run_config_schema.config_type
            assert isinstance(launchpad, Shape)
            fields = launchpad.fields
            required = {name for name, field in fields.items() if field.is_required}
            shown[job.name] = (required, set(fields) - required)

    assert told_jobs() == shown
    for name in [*(each.name for each in repository.sensor_defs), *(each.name for each in repository.schedule_defs)]:
        assert f"`{name}`" in SECTION


def told_jobs() -> dict[str, tuple[set[str], set[str]]]:
    """Fields that must be given and those that may be, by job."""
    told: dict[str, tuple[set[str], set[str]]] = {}
    for jobs, fields in re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| ([^|]*`[^|]*) \| [^|]+ \|$", SECTION, re.MULTILINE):
        required, _, optional = fields.partition("perhaps")
        told |= dict.fromkeys(names(jobs), (set(names(required)), set(names(optional))))
    return told


def names(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell)
