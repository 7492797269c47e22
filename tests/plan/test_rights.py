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
def owner(scene: Scene, migrator: str) -> Generator[str]:
    """An ordinary role that owns the table."""
    role = migrator.replace("Migrator", "Owner")
    scene.sql(f'CREATE ROLE "{role}"; ALTER TABLE items OWNER TO "{role}"')
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


def test_the_owner_of_a_table_must_be_shared(migrator: str, owner: str, hazards: Hazards) -> None:
    missing = hazards(FILL)[f'GRANT "{owner}" TO "{migrator}"']

    assert missing.risk == "danger"
    assert "public.items in database `app`" in missing.what


def test_a_superuser_s_table_is_given_away_rather_than_superuser_s_rights(migrator: str, hazards: Hazards) -> None:
    assert hazards(FILL)[f'ALTER TABLE "public"."items" OWNER TO "{migrator}"'].risk == "danger"


def test_a_partition_of_another_owner_is_found(scene: Scene, migrator: str, hazards: Hazards) -> None:
    scene.sql(
        "CREATE TABLE p (id int, code text) PARTITION BY RANGE (id);"
        "CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (0) TO (9);"
        f'ALTER TABLE ONLY p OWNER TO "{migrator}"'
    )

    assert f'ALTER TABLE "public"."p_1" OWNER TO "{migrator}"' in hazards(FILL.replace("items", "p"))


@pytest.mark.parametrize(
    ("kept", "said", "mended_by"),
    [
        ("SELECT", "must be owner of table items", 'GRANT "{owner}" TO "{migrator}"'),
        (
            "INSERT",
            "permission denied for table items",
            'GRANT "{owner}" TO "{migrator}"; GRANT SELECT ON "public"."items" TO "{migrator}"',
        ),
    ],
    ids=["at DDL", "at a check"],
)
def test_a_right_that_is_lost_half_way_is_told_with_what_gives_it_back(
    scene: Scene, migrator: str, owner: str, kept: str, said: str, mended_by: str
) -> None:
    scene.sql(f'GRANT "{owner}" TO "{migrator}"; GRANT {kept} ON items TO "{migrator}"')
    spec(scene, "add_column: {table: items, column: more, type: text, check: more > ''}")
    scene.up(through="expand")
    scene.sql(f'REVOKE "{owner}" FROM "{migrator}"')

    with pytest.raises(ExecutionFailed, match=said) as failure:
        scene.up()

    assert failure.value.fix == mended_by.format(owner=owner, migrator=migrator)


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


def test_rows_that_row_security_would_hide_are_found_before_anything_is_begun(
    scene: Scene, migrator: str, hazards: Hazards
) -> None:
    scene.sql(
        f'ALTER TABLE items OWNER TO "{migrator}"; ALTER TABLE items ENABLE ROW LEVEL SECURITY;'
        f'CREATE TABLE codes (code text PRIMARY KEY); GRANT SELECT, REFERENCES ON codes TO "{migrator}"'
    )
    refers = "{columns: [code], references: {table: codes}}"
    bind = f"add_constraint: {{table: items, name: known, foreign_key: {refers}}}"
    seen = f'ALTER ROLE "{migrator}" BYPASSRLS'
    assert seen not in {*hazards(FILL), *hazards(bind)}  # its owner has them all

    scene.sql("ALTER TABLE items FORCE ROW LEVEL SECURITY")
    assert "row security of public.items in database `app` binds role" in hazards(FILL)[seen].what
    assert seen not in hazards("add_column: {table: items, column: plain, type: text}")  # no row is read for it

    scene.sql("ALTER TABLE items NO FORCE ROW LEVEL SECURITY; ALTER TABLE codes ENABLE ROW LEVEL SECURITY")
    assert "row security of public.codes" in hazards(bind)[seen].what

    scene.sql(seen)
    assert seen not in hazards(bind)


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

    assert failure.value.fix == f'GRANT USAGE, CREATE ON SCHEMA "Billing" TO "{migrator}"'


def test_the_parent_of_a_foreign_key_that_goes_may_be_another_s(scene: Scene, migrator: str, hazards: Hazards) -> None:
    """PostgreSQL takes its trigger off the parent, and asks for no right on it."""
    scene.sql(
        "CREATE SCHEMA hr; CREATE TABLE hr.owners (id int PRIMARY KEY);"
        "ALTER TABLE items ADD COLUMN owned_by int REFERENCES hr.owners;"
        f'ALTER TABLE items OWNER TO "{migrator}"'
    )

    missing = hazards("drop_column: {table: items, column: owned_by}")

    assert not [fix for fix in missing if "owners" in fix or "hr" in fix]
    assert scene.up().ended == "complete"
    assert scene.columns("items") == ["id", "code"]
