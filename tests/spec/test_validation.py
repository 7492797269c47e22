"""What is wrong with a mapping, in the words of the language and at its place in the file."""

from __future__ import annotations

import pytest

from .conftest import Refuse
from .specs import MINIMAL

BEGINNING = MINIMAL.replace("drop_table:\n      table: old\n", "change_column:\n      table: users\n")


def test_an_unknown_key_is_placed_explained_and_mended(refuse: Refuse) -> None:
    (found,) = refuse(BEGINNING + "      colum: email\n      to: {}\n")

    assert found == (
        "8:7: unknown key `colum` in `change_column`\n"
        "  why: a mapping holds only the keys it knows: docs/changes/change_column.md\n"
        "  fix: did you mean `column`? known here: table, column, to, up, down, strategy, enforce, database"
    )


def test_a_missing_key_is_placed_where_its_mapping_begins(refuse: Refuse) -> None:
    (found,) = refuse(BEGINNING + "      to: {}\n")

    assert found == (
        "7:7: `change_column` has no `column`\n"
        "  why: A name as it is written in the database, without quotes: docs/changes/change_column.md\n"
        "  fix: add it, e.g. `column: users`"
    )


def test_keys_missing_from_an_empty_mapping_are_placed_at_its_key(refuse: Refuse) -> None:
    (found,) = refuse(MINIMAL.replace("      table: old\n", ""))

    assert found.startswith("6:5: `drop_table` has no `table`")


def test_a_missing_key_of_the_file_is_explained_by_its_own_description(refuse: Refuse) -> None:
    (found,) = refuse(MINIMAL.replace("database: profile\n", ""))

    assert found == (
        "1:1: the file has no `database`\n"
        "  why: A name from databases.yaml; changes may name another one each: docs/language.md#migration\n"
        "  fix: add it, e.g. `database: app`"
    )


def test_a_key_that_is_not_near_any_gets_the_choice_only(refuse: Refuse) -> None:
    (found,) = refuse(MINIMAL + "locks: {zzz: 1}\n")

    assert found.endswith("fix: known here: timeout, budget, end_idle_blockers")


@pytest.mark.parametrize(
    ("text", "problem", "fix"),
    [
        (
            "backfill: {workers: many}",
            "`workers` wants a whole number, found the text `many`",
            "write it e.g. as `workers: 2`",
        ),
        (
            "backfill: {workers: '2'}",
            "`workers` wants a whole number, found the text `2`",
            "write it e.g. as `workers: 2`",
        ),
        (
            "backfill: {workers: 0}",
            "`workers` wants a number of at least 1, found the number 0",
            "write it e.g. as `workers: 2`",
        ),
        (
            "backfill: {fire_triggers: no}",
            "`fire_triggers` wants true or false, found the text `no`",
            "write false",
        ),
        (
            "backfill: {fire_triggers: 1}",
            "`fire_triggers` wants true or false, found the number 1",
            "write it e.g. as `fire_triggers: true`",
        ),
        (
            "backfill: [fast]",
            "`backfill` wants a mapping, found a list",
            "write it e.g. as `backfill: {...}`",
        ),
        ("backfill:", "`backfill` wants a mapping, found nothing", "write it e.g. as `backfill: {...}`"),
        (
            "backfill: {pause_when: {blocked_sessions: 1.5}}",
            "`blocked_sessions` wants a whole number, found the number 1.5",
            "write it e.g. as `blocked_sessions: 5`",
        ),
        ("why: 2.10", "`why` wants text, found the number 2.10", 'put it in quotes: "2.10"'),
        ("why: true", "`why` wants text, found `true`", 'put it in quotes: "true"'),
        (
            "after: users",
            "`after` wants a list, found the text `users`",
            "write it e.g. as `after: [normalize_emails]`",
        ),
        (
            "enforce: validated",
            "`enforce` wants `validate` or `contract`, found the text `validated`",
            "did you mean `validate`?",
        ),
        (
            "backfill: {target: 5}",
            "`target`: a duration is a number with a unit: 500ms, 10s, 5m, 4h, 7d, 2w; found the number 5",
            "write it e.g. as `target: 500ms`",
        ),
    ],
)
def test_a_wrong_value_says_what_is_wanted_and_what_was_found(
    refuse: Refuse, text: str, problem: str, fix: str
) -> None:
    (found,) = refuse(MINIMAL + text + "\n")

    lines = found.splitlines()
    assert (lines[0].split(": ", 1)[1], lines[-1]) == (problem, f"  fix: {fix}")


def test_an_empty_title_is_refused(refuse: Refuse) -> None:
    (found,) = refuse(MINIMAL.replace("The first", "''"))

    assert found.startswith("3:8: `title` wants text that is not empty, found empty text")


def test_an_entry_of_a_list_is_named_by_its_number(refuse: Refuse) -> None:
    (found,) = refuse(MINIMAL + "after: [fine, Not Fine]\n")

    assert found.startswith("8:15: entry 2 of `after`: an id is lower-case letters, digits and _")


def test_no_word_of_the_validator_reaches_the_reader(refuse: Refuse) -> None:
    found = "\n".join(refuse("crossfade: x\nchanges: 5\nbackfill: {workers: x, target: 1}\ngates: {x: 1}\n"))

    assert not any(word in found for word in ("Input should", "pydantic", "input_type", "Value error", "valid "))


@pytest.mark.parametrize(
    ("up", "place"),
    [
        ("up: lower(email) foo", "10:24"),
        ("up: 'lower(email) foo'", "10:25"),
        ('up: "lower(email) foo"', "10:25"),
        ("up: |\n        lower(\n          email) foo\n", "12:18"),
        ("up: >-\n        lower(email)\n        foo\n", "12:9"),
        ("up: lower(email", "10:22"),
        ("up: ''", "10:11"),
    ],
)
def test_a_fragment_that_is_no_sql_is_refused_at_the_very_character(refuse: Refuse, up: str, place: str) -> None:
    (found,) = refuse(BEGINNING + f"      column: email\n      to: {{}}\n      {up}\n")

    assert found.startswith(f"{place}: `up`: ")


def test_of_alternatives_the_one_that_was_meant_is_reported(refuse: Refuse) -> None:
    (found,) = refuse(BEGINNING + "      column: email\n      to: {typ: text}\n")

    assert found.startswith("9:12: unknown key `typ` in `to`")


def test_an_alternative_of_the_right_shape_is_meant_even_with_more_faults(refuse: Refuse) -> None:
    found = refuse(MINIMAL + "      also: [{schema: 5, tabel: x}, '']\n")

    wanted = "a name of the database is text, written as in the database, without quotes"
    assert [each.splitlines()[0] for each in found] == [
        "8:23: `schema` wants text, found the number 5",
        "8:26: unknown key `tabel` in entry 1 of `also`",
        f"8:37: entry 2 of `also`: {wanted}; found empty text",
    ]


def test_when_no_alternative_was_meant_all_are_named(refuse: Refuse) -> None:
    found = refuse(BEGINNING + "      column: email\n      to: {limit: []}\n")
    other = refuse(BEGINNING + "      column: email\n      to: 5\n")

    assert [each.splitlines()[0] for each in found + other] == [
        "9:19: `limit` wants a whole number or `none`, found a list",
        "9:11: `to` wants a mapping or `nothing`, found the number 5",
    ]


def test_the_name_that_python_uses_for_a_key_is_no_key(refuse: Refuse) -> None:
    found = refuse(MINIMAL + "gates: {expand: [{unused: a.b, for_: 1d}]}\ncontract: {stages: [archive: {for_: 5d}]}\n")

    assert [each.splitlines()[0] for each in found] == [
        "8:32: unknown key `for_` in entry 1 of `expand`",
        "9:31: unknown key `for_` in `archive`",
    ]


def test_a_long_text_is_not_repeated_whole(refuse: Refuse) -> None:
    (found,) = refuse(MINIMAL + f"backfill: {{workers: {'x' * 500}}}\n")

    assert len(found) < 300
