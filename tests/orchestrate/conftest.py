"""A scene with Dagster on it; a DeprecationWarning of Dagster's is an error."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from dagster import DagsterInstance
from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext, DefinitionsLoadType
from tests.orchestrate.orchestra import Orchestra
from tests.scene import Scene


def pytest_itemcollected(item: pytest.Item) -> None:
    # Great Expectations' own imports warn too, and are not ours to mend.
    item.add_marker(pytest.mark.filterwarnings(r"error::DeprecationWarning:(crossfade|dagster|tests)\b"))
    item.add_marker(pytest.mark.filterwarnings("ignore:Class `.*CodeReference.*` is currently in beta"))


@pytest.fixture(autouse=True)
def location() -> Iterator[DefinitionsLoadContext]:
    """Definitions load as in a code location; Dagster keeps the whole process as it was for its last run."""
    with DefinitionsLoadContext.scoped(DefinitionsLoadContext(DefinitionsLoadType.INITIALIZATION)) as context:
        yield context


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as instance:  # pyright: ignore[reportUnknownMemberType]  # Dagster's dict
        yield instance


@pytest.fixture
def orchestra(scene: Scene, instance: DagsterInstance) -> Orchestra:
    """A table of three items in the scene's first database, to be migrated."""
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL)")
    scene.sql("INSERT INTO items SELECT i, 'Name ' || i FROM generate_series(1, 3) AS i")
    return Orchestra(scene, instance)
