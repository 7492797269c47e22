"""Rights the role will miss are told when planning, each with the statement that grants it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Generator

import pytest
from tests.changes.life import spec
from tests.scene import Scene

from crossfade.execute import ExecutionFailed
from crossfade.plan import PlannedHazard

FILL = "add_column: {table: items, column: twice, type: text, up: code || code}"
INDEX = "create_index: {table: items, name: by_code, columns: [code]}"


@pytest.fixture
def migrator(scene: Scene) -> Generator[str]:
    """The role that migrations run as; it may read, and nothing else."""
    role = f"Migrator {uuid.uuid4().hex[:8]}"
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, code text)")
    database = scene.one("SELECT quote_ident(current_database())")
    scene.sql(f'CREATE ROLE "{role}"; GRANT CREATE ON DATABASE {database} TO "{role}"')
    (scene.root / "databases.yaml").write_text(f"app: {{url: env:APP_URL, role: {role}}}\n")
    yield role
    scene.sql(f'DROP OWNED BY "{role}" CASCADE; DROP ROLE "{role}"')


@pytest.fixture
def hazards(scene: Scene) -> Callable[[str], dict[str, PlannedHazard]]:
    """Hazards of one change by what grants the right."""

    def plan(change: str) -> dict[str, PlannedHazard]:
        spec(scene, change)
        found = scene.runner().plan(scene.migration()).hazards
        return {hazard.fix or "": hazard for hazard in found if hazard.code in ("missing-right", "blind-to-others")}

    return plan


Hazards = Callable[[str], dict[str, PlannedHazard]]


def test_the_owner_of_a_table_must_be_shared(scene: Scene, migrator: str, hazards: Hazards) -> None:
    owner = scene.one("SELECT current_user")

    missing = hazards(FILL)[f'GRANT "{owner}" TO "{migrator}"']

    assert missing.risk == "danger"
    assert "public.items in database `app`" in missing.what


def test_an_index_needs_create_on_the_schema(scene: Scene, migrator: str, hazards: Hazards) -> None:
    grant = f'GRANT CREATE ON SCHEMA "public" TO "{migrator}"'
    scene.sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    missing = hazards(INDEX)[grant]
    assert missing.risk == "danger"
    assert missing.what.endswith("in schema public of database `app`")

    scene.sql(grant)

    assert grant not in hazards(INDEX)


def test_a_walk_that_cannot_see_pressure_is_a_warning(scene: Scene, migrator: str, hazards: Hazards) -> None:
    grant = f'GRANT pg_read_all_stats TO "{migrator}"'
    assert hazards(FILL)[grant].risk == "warning"
    assert "neither replicas that lag nor sessions that wait" in hazards(FILL)[grant].what
    assert hazards(INDEX)[grant].risk == "note"

    scene.sql(grant)

    assert grant not in hazards(FILL)


def test_a_superuser_misses_nothing(scene: Scene, hazards: Hazards) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, code text)")

    assert hazards(FILL) == {}


def test_a_table_needs_create_on_the_schema(scene: Scene, migrator: str, hazards: Hazards) -> None:
    scene.sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC")

    found = hazards("create_table: {table: extra, columns: [{name: id, type: int}]}")

    assert found[f'GRANT CREATE ON SCHEMA "public" TO "{migrator}"'].risk == "danger"


def test_a_statement_that_wants_a_schema_names_the_right_grant(scene: Scene, migrator: str) -> None:
    scene.sql('CREATE SCHEMA "Billing"')
    spec(scene, "sql: {up: 'CREATE TABLE \"Billing\".t ()', down: SELECT 1}")

    with pytest.raises(ExecutionFailed) as failure:
        scene.up()

    assert failure.value.fix == 'GRANT USAGE, CREATE ON SCHEMA "Billing" TO the role that runs migrations'
    assert migrator
