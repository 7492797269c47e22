"""A role with what docs/operations.md lists and nothing else does all that a migration does; with one right less it is
told the very GRANT, and nothing is done."""

from __future__ import annotations

import uuid
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
import yaml
from psycopg import sql
from tests.conftest import fast_directory
from tests.execute.rights import RIGHTS
from tests.scene import Scene
from tests.torture.kinds import KINDS, Kind
from tests.torture.shapes import APPLICATION, COLUMNS, SHAPES

from crossfade.changes import Refused
from crossfade.errors import CrossfadeError
from crossfade.server import LocalServer, start_local
from crossfade.server.password import new_password
from crossfade.spec.fragment import trusted

SHAPE = SHAPES["triggers"]
GATED = {"gates": {"expand": [{"sql": "SELECT count(*) = 0 FROM asked"}]}}


@dataclass(frozen=True)
class Limited:
    """Migrations of `scene` run as a role that logs in and is no superuser; `scene.sql` is a superuser's.

    The tables are another role's, but for the parent of a foreign key and one that a gate reads.
    """

    scene: Scene
    names: dict[str, sql.Identifier]

    @property
    def may_be_silenced(self) -> bool:
        """Parameters can be granted since PostgreSQL 15."""
        return self.scene.one("SHOW server_version_num") >= "150000"

    def statement(self, right: str) -> str:
        return trusted(RIGHTS[right]).format(**self.names).as_string(None)

    def grant_all_but(self, *without: str) -> None:
        left_out = {*without} if self.may_be_silenced else {*without, "silence"}
        if "parent" in left_out:
            left_out.add("written")  # which would let it read that table
        if "usage" in left_out:
            left_out.add("looks")  # to a role that it is a member of
        if "create" in left_out:
            left_out.add("given")  # to a role that it is a member of
        for right in RIGHTS.keys() - left_out:
            self.scene.sql(self.statement(right))

    def spec(self, kind: Kind, **more: Any) -> None:
        """The kind's migration, and what it wants to be there; the owner is the application too."""
        owner = self.names["owner"].as_string(None)
        if script := kind.beside(SHAPE).replace(APPLICATION, owner):
            self.scene.sql(f"GRANT ALL ON SCHEMA app TO {owner}")  # for good: PostgreSQL gives it a view only so
            with self.scene.connect() as connection:
                connection.execute(trusted(f"SET search_path = app; SET ROLE {owner}; {script}"))
        body: dict[str, Any] = {
            "changes": kind.changes(SHAPE),
            "contract": {"stages": [{"archive": {"keep": "1h" if kind.back_until is None else "0s"}}, {"drop": {}}]},
        }
        if not self.may_be_silenced:
            body["backfill"] = {"fire_triggers": True}
        text = yaml.safe_dump(body | more, sort_keys=False)
        self.scene.spec(text.replace(APPLICATION, owner.strip('"')))

    def seen(self) -> tuple[str, Any]:
        """The application's schema and values."""
        values = self.scene.sql(f"SELECT {', '.join(COLUMNS)} FROM app.people ORDER BY ident")
        return self.scene.schema(), values


@pytest.fixture(scope="module")
def server() -> Generator[LocalServer]:
    """Of this file alone: rights on a parameter are one row of the whole server; of two grants at once one fails."""
    with start_local(parent=fast_directory()) as own:
        yield own


@pytest.fixture
def limited(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Generator[Limited]:
    number, password = uuid.uuid4().hex[:8], new_password()
    owner, role = f"owner {number}", f"migrator {number}"
    scene.sql(f'CREATE ROLE "{owner}"; CREATE ROLE "{role}" LOGIN PASSWORD \'{password}\'; CREATE SCHEMA app')
    scene.sql(f'GRANT ALL ON SCHEMA app TO "{owner}"')
    with scene.connect() as connection:
        connection.execute(trusted(f'SET search_path = app; SET ROLE "{owner}"'))
        connection.execute(trusted(SHAPE.script().replace(APPLICATION, f'"{owner}"')))
        connection.execute("UPDATE people SET zip = NULL WHERE zip = 'unknown'")  # which cannot be mapped
        connection.execute("RESET ROLE; CREATE TABLE public.asked (); ALTER TABLE areas OWNER TO CURRENT_USER")
    scene.sql(f'REVOKE ALL ON SCHEMA app FROM "{owner}"')
    (scene.root / "databases.yaml").write_text("app: {url: env:APP_URL, schema: app}\n")
    address = urlsplit(scene.urls["app"])
    netloc = f"{role.replace(' ', '%20')}:{password}@{address.hostname}:{address.port}"
    monkeypatch.setenv("APP_URL", urlunsplit(address._replace(netloc=netloc)))
    yield Limited(
        scene,
        {
            "owner": sql.Identifier(owner),
            "role": sql.Identifier(role),
            "schema": sql.Identifier("app"),
            "database": sql.Identifier(scene.one("SELECT current_database()")),
            "parent": sql.Identifier("app", "areas"),
            "filled": sql.Identifier("app", "people"),
            "asked": sql.Identifier("asked"),
        },
    )
    scene.sql(f'DROP OWNED BY "{role}", "{owner}" CASCADE; DROP ROLE "{role}", "{owner}"')


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_it_goes_all_the_way_and_back_from_validate_and_from_the_end(limited: Limited, kind: Kind) -> None:
    limited.grant_all_but("signal", "rows")
    limited.spec(kind, **GATED)
    before = limited.seen()

    assert limited.scene.up(through="validate").ended in ("reached", "complete")
    assert limited.scene.rollback().ended == "undone"
    assert limited.seen() == before

    assert limited.scene.up(through=kind.back_until).ended in ("reached", "complete")
    assert limited.scene.rollback().ended == "undone"
    assert limited.seen()[1] == before[1]

    assert limited.scene.up().ended == "complete"
    assert limited.scene.own_objects() == []


@pytest.mark.parametrize(
    ("right", "kind"),
    [
        ("owner", "rename_column"),
        ("owner", "change_column_in_place"),
        ("owner", "drop_index"),
        ("owner", "add_constraint"),
        ("usage", "rename_column"),
        ("usage", "create_table"),
        ("create", "create_index"),
        ("create", "create_table"),
        ("create", "add_column_volatile"),
        ("create", "change_column_rules"),
        ("given", "partition_table"),
        ("ledger", "rename_column"),
        ("read", "rename_column"),
        ("parent", "add_constraint"),
        ("silence", "change_column_retype"),
        ("silence", "update_rows"),
    ],
)
def test_a_run_without_a_right_names_the_grant_and_does_nothing(limited: Limited, right: str, kind: str) -> None:
    if right == "silence" and not limited.may_be_silenced:
        pytest.skip("before PostgreSQL 15 nobody can be granted it")
    limited.grant_all_but(right, "rows")
    limited.spec(KINDS[kind], **GATED)
    before = limited.seen()

    with pytest.raises(CrossfadeError) as refused:
        limited.scene.up()

    assert limited.statement(right) in "; ".join(problem.fix or "" for problem in refused.value.problems)
    assert limited.seen() == before
    limited.scene.sql(limited.statement(right))
    assert limited.scene.up(through="expand").ended in ("reached", "complete")


@pytest.mark.parametrize("right", ["stats", "signal"])
def test_a_right_that_a_run_can_do_without_is_named_by_the_plan(limited: Limited, right: str) -> None:
    limited.grant_all_but(right)
    limited.spec(KINDS["rename_column"], locks={"end_idle_blockers": "1m"})

    hazards = limited.scene.runner().plan(limited.scene.migration()).hazards

    assert limited.statement(right).partition(" TO ")[0] in "; ".join(hazard.fix or "" for hazard in hazards)
    assert limited.scene.up(through="expand").ended == "reached"


def test_rows_are_updated_by_a_role_that_does_not_own_them(limited: Limited) -> None:
    if not limited.may_be_silenced:
        pytest.skip("before PostgreSQL 15 the trigger fires, and writes what this role may not")
    limited.grant_all_but("owner", "rows")
    limited.spec(KINDS["update_rows"])
    with pytest.raises(Refused) as refused:
        limited.scene.up()
    assert refused.value.fix == limited.statement("rows")

    limited.scene.sql(limited.statement("rows"))

    assert limited.scene.up().ended == "complete"
    assert limited.scene.rollback().ended == "undone"
