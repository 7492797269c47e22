"""The events held against OpenLineage's own JSON Schema, where OPENLINEAGE_SPEC says in which folder it lies."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path, PurePosixPath

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012, Schema
from tests.scene import Scene
from tests.telemetry.test_openlineage import SCHEMA, SPEC, UNMAPPABLE, events, facets, read, up

from crossfade.execute import StepRefused

__all__ = ["events"]  # a fixture
SCHEMAS = Path(os.environ.get("OPENLINEAGE_SPEC", ""))

pytestmark = pytest.mark.skipif("OPENLINEAGE_SPEC" not in os.environ, reason="OPENLINEAGE_SPEC names no folder")


def published(uri: str) -> Resource[Schema]:
    """The schema of that name, in the version that the folder has: a later one takes what an earlier one took."""
    path = next(SCHEMAS.rglob(PurePosixPath(uri).name))
    return Resource.from_contents(json.loads(path.read_text()), default_specification=DRAFT202012)


@pytest.mark.parametrize("spec", [SPEC, UNMAPPABLE], ids=["complete", "fail"])
def test_every_event_and_facet_is_as_the_schema_says(scene: Scene, events: Path, spec: str) -> None:
    scene.sql(SCHEMA)
    scene.spec(spec)
    with suppress(StepRefused):
        up(scene)
    registry: Registry[Schema] = Registry(retrieve=published)  # pyright: ignore[reportCallIssue]

    told = read(events)
    assert told
    for url, found in [
        *((event["schemaURL"], event) for event in told),
        *((facet["_schemaURL"], facet) for _, facet in facets(told)),
    ]:
        validator = Draft202012Validator({"$ref": url}, registry=registry, format_checker=FormatChecker())
        validator.validate(found)  # pyright: ignore[reportUnknownMemberType]
