"""Fleets in databases.yaml: members, waves, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from crossfade.spec import Fleet, Member, SpecError, load_project
from crossfade.spec.fleets import member_name

from .conftest import Write
from .vocabulary import CHANGES, GATES

SPEC = """\
crossfade: 1
migration: {id}
title: a title
database: {database}
changes: [{{drop_table: {{table: users}}}}]
"""


def load(write: Write, text: str) -> Fleet:
    root = write("databases.yaml", text).parent
    return load_project(root, changes=CHANGES, gates=GATES).fleets["tenants"]


def tenants(said: str, each: str = "{members: [a, b, c, d]}") -> str:
    return f"control: {{url: env:CONTROL}}\ntenants: {{url: env:TENANTS, each: {each}, {said}}}\n"


def refusal(write: Write, text: str) -> str:
    with pytest.raises(SpecError) as caught:
        load(write, text)
    return str(caught.value)


def named(fleet: Fleet) -> list[Member]:
    return [*map(fleet.member, fleet.each.members)]


def waves(fleet: Fleet, members: Sequence[Member] | None = None) -> dict[str, list[str]]:
    found = fleet.in_waves(named(fleet) if members is None else members)
    return {wave.name: [member.name for member in wave.members] for wave in found}


def test_a_members_database_is_put_into_the_fleets_url(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = load(write, tenants("max_parallel: 8", "{members: [acme, {name: big, database: b1, host: db7}]}"))
    monkeypatch.setenv("TENANTS", "postgresql://u:hunter2@db1/postgres")

    acme, big = (member.database for member in named(fleet))

    assert acme.conninfo() == "user=u password=hunter2 dbname=acme host=db1"
    assert big.conninfo() == "user=u password=hunter2 dbname=b1 host=db7"
    assert (acme.name, fleet.max_parallel) == ("tenants", 8)
    assert "hunter2" not in repr(fleet) + repr(acme)


def test_each_member_may_have_a_url_of_its_own(write: Write) -> None:
    of_environment = load(write, tenants("max_parallel: 1").replace("env:TENANTS", '"env:TENANT_{member}_URL"'))
    of_files = load(write, tenants("max_parallel: 1").replace("env:TENANTS", '"file:/run/secrets/{member}"'))

    assert of_environment.member("acme-eu").database.url == "env:TENANT_ACME_EU_URL"
    assert of_files.member("acme-eu").database.url == "file:/run/secrets/acme-eu"


def test_without_waves_all_members_are_one(write: Write) -> None:
    assert waves(load(write, tenants("max_parallel: 1"))) == {"all": ["a", "b", "c", "d"]}


def test_a_member_is_in_the_first_wave_that_is_meant_for_it(write: Write) -> None:
    each = "{members: [a, {name: b, tags: [eu]}, c, {name: d, tags: [eu]}]}"
    fleet = load(write, tenants("waves: [{name: x, members: [d]}, {name: y, tags: [eu]}, {name: z}]", each))

    assert waves(fleet) == {"x": ["d"], "y": ["b"], "z": ["a", "c"]}


def test_a_share_is_of_the_whole_fleet_and_rounded_up(write: Write) -> None:
    fleet = load(write, tenants("waves: [{name: one, members: [b]}, {name: some, share: 30%}]"))

    assert waves(fleet) == {"one": ["b"], "some": ["a", "c"], "rest": ["d"]}
    assert waves(fleet, named(fleet)[:1]) == {"some": ["a"]}


@pytest.mark.parametrize(
    ("said", "each", "what"),
    [
        ("waves: [{name: x}, {name: y}]", "{members: [a]}", "all the rest, so it is the last one"),
        ("waves: [{name: x, share: 0%}]", "{members: [a]}", "a share is written 1% to 99%"),
        ("waves: [{name: x, gates: [{soak: 1d}]}]", "{members: [a]}", "before the first there is none"),
        ("waves: [{name: x, tags: [t]}, {name: x}]", "{members: [a]}", "two waves are called x"),
        ("max_parallel: 1", "{members: [a, a]}", "a is named twice"),
        ("max_parallel: 1", "{members: [a], databases: t_*}", "say one of"),
        ("max_parallel: 1", "{query: SELECT 1}", "`query` and `on` go together"),
        ("max_parallel: 1", "{query: SELECT 1, on: contrl}", "`contrl` is no database of this file"),
        ("max_parallel: 1, url: 'postgresql://u:hunter2@h/d'", "{members: [a]}", "url"),
    ],
)
def test_what_cannot_be_a_fleet_is_refused_where_it_stands(write: Write, said: str, each: str, what: str) -> None:
    told = refusal(write, tenants(said, each))

    assert what in told
    assert "databases.yaml:2" in told
    assert "hunter2" not in told


def test_migrations_of_a_fleet_are_apart_from_those_of_databases(write: Write) -> None:
    root: Path = write("databases.yaml", tenants("max_parallel: 1")).parent
    write("migration_specs/0001.yaml", SPEC.format(id="one", database="control"))
    write("migration_specs/0002.yaml", SPEC.format(id="two", database="tenants") + "after: [one]\n")

    project = load_project(root, changes=CHANGES, gates=GATES)
    member = project.of_member(project.fleets["tenants"], project.fleets["tenants"].member("a"))

    assert ([m.id for m in project.migrations], [m.id for m in project.of_fleets]) == (["one"], ["two"])
    assert [m.id for m in member.migrations] == ["one", "two"]
    assert member.databases["tenants"].within == (("dbname", "a"),)


def test_nothing_outside_of_a_fleet_comes_after_a_migration_of_it(write: Write) -> None:
    root: Path = write("databases.yaml", tenants("max_parallel: 1")).parent
    write("migration_specs/0001.yaml", SPEC.format(id="one", database="tenants"))
    write("migration_specs/0002.yaml", SPEC.format(id="two", database="control") + "after: [one]\n")

    with pytest.raises(SpecError, match="`one` is of the fleet `tenants`, and `two` is of `control`"):
        load_project(root, changes=CHANGES, gates=GATES)


def test_a_listed_member_is_known_by_its_name(write: Write) -> None:
    fleet = load(write, tenants("max_parallel: 1", "{members: [a, {name: b}]}"))

    assert [*map(member_name, fleet.each.members)] == ["a", "b"]
