"""Names we create: at most 63 bytes, unique by construction, starting with `_cf_`."""

from __future__ import annotations

from itertools import combinations

import pytest

from crossfade.steps.names import own_name

LONG = "x" * 60
PARTS = [
    ("m", "new", "public.users", "email"),
    (LONG, "new", f"public.{LONG}", LONG),
    ("ä" * 40, "archive", "größe.tabelle", "straße" * 10),
    ("m", "sync"),
    ("m", "old", "日本語" * 20, "列" * 21),
    ("m", "constraint", "public.t", 'quo"ted and spaced'),
]


@pytest.mark.parametrize("parts", PARTS, ids=lambda parts: parts[1])
def test_a_name_fits_in_63_bytes_and_starts_with_our_prefix(parts: tuple[str, ...]) -> None:
    name = own_name(*parts)

    assert name.startswith("_cf_")
    assert len(name.encode()) <= 63
    assert name.encode().decode() == name


def test_a_name_cut_in_the_middle_of_a_character_is_cut_before_it() -> None:
    names = {own_name("m" * length, "new", "public.t", "ü" * 40) for length in range(1, 30)}

    assert all(len(name.encode()) <= 63 and "�" not in name for name in names)


def test_names_tell_what_they_are_for() -> None:
    assert own_name("normalize", "new", "public.users", "email").startswith("_cf_normalize_email_new_")


def test_the_same_thing_has_the_same_name_each_time() -> None:
    assert own_name("m", "new", "public.users", "email") == own_name("m", "new", "public.users", "email")


def test_lookalikes_that_are_cut_at_the_same_place_differ() -> None:
    alike = [
        (LONG, "new", "public.t", LONG),
        (LONG, "new", "public.t", LONG + "1"),
        (LONG, "new", "public.t", LONG + "2"),
        (LONG, "old", "public.t", LONG),
        (LONG, "new", "public.u", LONG),
        (LONG + "a", "new", "public.t", LONG),
    ]

    assert all(own_name(*one) != own_name(*other) for one, other in combinations(alike, 2))


def test_parts_do_not_run_into_each_other() -> None:
    assert own_name("m", "new", "a", "bc") != own_name("m", "new", "ab", "c")
    assert own_name("a_b", "new", "c") != own_name("a", "new", "b_c")
