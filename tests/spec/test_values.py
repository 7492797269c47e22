"""The small values of the language, and the mappings they stand in."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, TypeAdapter, ValidationError

from crossfade.spec import Identifier, MigrationId, SpecModel
from crossfade.spec.values import format_duration, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("1.5s", timedelta(seconds=1.5)),
        ("5m", timedelta(minutes=5)),
        ("4h", timedelta(hours=4)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(days=14)),
    ],
)
def test_a_duration_is_a_number_with_a_unit(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize("value", ["5", 5, "5 years", "-5s", "1h30m", "", None, True, "999999999w"])
def test_anything_else_is_no_duration(value: object) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(value)


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=3650)))
def test_a_duration_is_printed_as_it_can_be_read(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration


def test_a_duration_is_printed_in_its_largest_whole_unit() -> None:
    assert [format_duration(timedelta(seconds=n)) for n in (0, 0.0005, 90, 3600, 172800)] == [
        "0s",
        "0.500ms",
        "90s",
        "1h",
        "2d",
    ]


@pytest.mark.parametrize(("value", "size"), [("64MB", 64 * 2**20), ("0.5kB", 512), ("1 GB", 2**30), (4096, 4096)])
def test_a_size_is_a_number_of_bytes_or_has_a_unit(value: object, size: int) -> None:
    assert parse_size(value) == size


@pytest.mark.parametrize("value", ["64", "64 mb", -1, True, 1.5, None])
def test_anything_else_is_no_size(value: object) -> None:
    with pytest.raises(ValueError, match="a size is a number with a unit"):
        parse_size(value)


@pytest.mark.parametrize("name", ["users", "User Table", 'with"quote', "ø" * 31])
def test_an_identifier_is_any_name_postgresql_keeps_whole(name: str) -> None:
    assert TypeAdapter(Identifier).validate_python(name) == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("ø" * 32, "PostgreSQL would cut this name: 64 bytes, at most 63"),
        ("_cf_mine", "names that start with _cf_ are crossfade's own"),
        ("", "a name of the database is text"),
        ("a\x00b", "a name cannot hold a zero byte"),
        (5, "a name of the database is text"),
    ],
)
def test_an_identifier_that_postgresql_or_we_would_confuse_is_refused(name: object, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        TypeAdapter(Identifier).validate_python(name)


@pytest.mark.parametrize("value", ["Users", "1st", "a-b", "a" * 64, "", "a\n"])
def test_a_migration_id_is_lower_case_and_begins_with_a_letter(value: str) -> None:
    with pytest.raises(ValidationError, match="an id is lower-case letters"):
        TypeAdapter(MigrationId).validate_python(value)


class Fields(SpecModel):
    """Fields whose names are words of pydantic's own schemas."""

    type: int = 0
    default: bool = False
    for_: tuple[int, ...] = Field(default=(), alias="for")
    by_name: dict[str, float | None] = Field(default_factory=dict[str, float | None])
    either: int | str = 0


@pytest.mark.parametrize(
    "data",
    [
        {"type": "1"},
        {"type": True},
        {"type": 1.0},
        {"default": "no"},
        {"default": 1},
        {"for": ["1"]},
        {"by_name": {"a": "1.5"}},
    ],
)
def test_no_scalar_is_converted_to_another_type(data: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Fields.model_validate(data)


def test_lists_become_tuples_and_alternatives_keep_their_type() -> None:
    fields = Fields.model_validate({"for": [1, 2], "by_name": {"a": 1}, "either": "1"})

    assert (fields.for_, fields.by_name, fields.either) == ((1, 2), {"a": 1.0}, "1")
