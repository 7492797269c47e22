from __future__ import annotations

from dataclasses import replace

import pytest

from crossfade.catalog import Catalog, Name
from crossfade.usage import Reader

USERS, OLD_USERS = Name("public", "users"), Name("archive", "users")


@pytest.fixture
def doubled(catalog: Catalog) -> Catalog:
    """With another table `users`, in the schema archive."""
    table = replace(catalog.tables[USERS], name=OLD_USERS)
    return replace(catalog, tables={**catalog.tables, OLD_USERS: table})


def test_a_bare_name_means_the_table_that_the_search_path_finds_first(doubled: Catalog) -> None:
    found = Reader(doubled, ("public",)).read("SELECT email FROM users")

    assert found.touches(USERS, "email")
    assert not found.touches(OLD_USERS, "email")


def test_a_bare_name_of_several_tables_makes_the_others_suspect(doubled: Catalog) -> None:
    found = Reader(doubled, ("public",)).read("SELECT email FROM users")

    assert found.suspects(OLD_USERS, "email")
    assert not found.suspects(OLD_USERS, "name")


def test_a_name_with_its_schema_is_in_no_doubt(doubled: Catalog) -> None:
    found = Reader(doubled, ("public",)).read("SELECT email FROM archive.users")

    assert found.touches(OLD_USERS, "email")
    assert not found.suspects(USERS, "email")


def test_a_table_outside_the_search_path_is_found_where_no_other_bears_its_name(catalog: Catalog) -> None:
    assert Reader(catalog, ("shop",)).read("SELECT email FROM users").touches(USERS, "email")
