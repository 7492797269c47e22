"""YAML as plain data: its values, its places, its refusals."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from textwrap import dedent

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from crossfade.errors import Position
from crossfade.spec import Document, SpecError, parse_document, read_document

FILE = Path("spec.yaml")


def parse(text: str) -> Document:
    return parse_document(dedent(text), FILE)


def refusal(text: str) -> SpecError:
    with pytest.raises(SpecError) as caught:
        parse(text)
    return caught.value


@pytest.mark.parametrize(
    "written",
    ["no", "on", "Yes", "y", "09:00", "1:30", "010", "0x1F", "1e3", "2024-01-01", "2.4.0", ".5", ".inf"],
)
def test_what_yaml_1_1_would_turn_into_something_else_stays_text(written: str) -> None:
    assert parse(f"value: {written}").data == {"value": written}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True),
        ("False", False),
        ("5", 5),
        ("-3", -3),
        ("1_000", 1000),
        ("0.50", 0.5),
        ("~", None),
        ("", None),
    ],
)
def test_true_false_decimals_and_nothing_are_values(written: str, value: object) -> None:
    assert parse(f"value: {written}").data == {"value": value}


def test_quoted_text_is_text_whatever_it_looks_like() -> None:
    assert parse("""[ "5", 'true', "~" ]""").data == ["5", "true", "~"]


def test_a_key_is_text_as_it_is_written() -> None:
    assert parse("{1: a, on: b, true: c}").data == {"1": "a", "on": "b", "true": "c"}


def test_a_number_remembers_how_it_was_written() -> None:
    assert parse("at_least: 2.10").written == {("at_least",): "2.10"}


def test_every_key_and_value_has_its_place() -> None:
    document = parse(
        """\
        changes:
          - add_column:
              table: users
              columns: [a, "b"]
        """
    )

    path = ("changes", 0, "add_column", "columns", 1)
    assert document.position(path) == Position(FILE, 4, 20)
    assert document.key(path[:-1]) == Position(FILE, 4, 7)
    assert document.position(path[:3]) == Position(FILE, 3, 7)


def test_what_is_not_there_is_placed_at_the_mapping_around_it() -> None:
    document = parse("a:\n  b: 1\n")

    assert document.position(("a", "missing", "deeper")) == Position(FILE, 2, 3)


def test_windows_line_ends_and_a_byte_order_mark_change_nothing(tmp_path: Path) -> None:
    text = "a: 1\nb: |\n  x\n  y\nc: [z]\n"
    path = tmp_path / "spec.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())

    document, plain = read_document(path), parse_document(text, path)

    assert document == plain


def test_an_alias_repeats_its_anchor_at_the_place_of_the_anchor() -> None:
    document = parse("first: &x lower(email)\nsecond: *x\n")

    assert document.data == {"first": "lower(email)", "second": "lower(email)"}
    assert document.position(("second",)).line == 1


def test_a_merge_key_gives_what_the_mapping_does_not_say_itself() -> None:
    document = parse(
        """\
        base: &base {a: 1, b: 2}
        other: &other {b: 3, c: 4}
        both:
          <<: [*base, *other]
          a: 5
        """
    )

    assert document.at(("both",)) == {"a": 5, "b": 2, "c": 4}


def test_a_key_given_twice_is_refused_at_its_second_place() -> None:
    error = refusal("table: a\ncolumn: b\ntable: c\n")

    assert error.what == "key `table` is given twice; first in line 1"
    assert error.problems[0].where == Position(FILE, 3, 1)


def test_all_keys_given_twice_are_reported_in_file_order() -> None:
    error = refusal("a: {x: 1, x: 2}\nb: 1\nb: 2\n")

    assert [str(problem.where) for problem in error.problems] == ["spec.yaml:1:11", "spec.yaml:3:1"]


@pytest.mark.parametrize("text", ["a: !!python/object:os.system x", "a: !custom {b: 1}", "a: !!set {b}", "a: !!int x"])
def test_a_tag_is_refused_and_does_nothing(text: str) -> None:
    assert refusal(text).what == "a YAML tag (`!...`) has no meaning here"


def test_a_list_as_a_key_is_refused() -> None:
    assert refusal("? [a, b]\n: c\n").what == "a key is text, not a list or mapping"


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("a:\n\t- b\n", "2:1", "a tab stands where YAML wants spaces"),
        ("a: b: c\n", "1:5", "a `:` is not expected here"),
        ("a: @b\n", "1:4", "a value cannot begin with `@`"),
        ("a: 1\nb\nc: 2\n", "2:1", "no `:` follows this key"),
        ("a: 'b\n", "1:4", "this quote is never closed"),
        ("a: [1, 2\nb: 3\n", "1:4", "this bracket is not closed before line 2, or a comma is missing in it"),
        ("a: 1\n---\nb: 2\n", "2:1", "a second document (`---`) begins here"),
        ("a: *nowhere\n", "1:4", "this alias (`*name`) names an anchor that is not there"),
        ("a: 1\n- b\n", "2:1", "this does not fit the list or mapping that began in line 1"),
        ("a: 'it's'\n", "1:8", "this does not fit the list or mapping that began in line 1"),
    ],
)
def test_a_syntax_error_is_placed_and_put_into_plain_words(text: str, place: str, what: str) -> None:
    error = refusal(text)

    assert (str(error.problems[0].where), error.what) == (f"spec.yaml:{place}", what)
    assert error.fix


def test_an_empty_file_is_refused() -> None:
    assert refusal("# nothing but a comment\n").what == "the file is empty"


def test_a_missing_file_is_refused_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"absent\.yaml:1:1: there is no such file"):
        read_document(tmp_path / "absent.yaml")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="the file cannot be read: it is not a plain file"):
        read_document(tmp_path)


def test_a_file_that_is_not_utf8_is_refused_at_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_bytes("title: ok\nwhy: blåbær\n".encode("latin-1"))

    with pytest.raises(SpecError) as caught:
        read_document(path)

    assert caught.value.what == "the file is not UTF-8 text"
    assert caught.value.problems[0].where == Position(path, 2, 8)


def test_a_control_character_is_refused_at_its_place() -> None:
    error = refusal("title: a\x07b\n")

    assert (error.what, error.problems[0].where) == (
        "a control character (U+0007) stands in the text",
        Position(FILE, 1, 9),
    )


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [*a]\n",
        "a: &a {<<: *a}\n",
        "a: &a [x]\n" + "".join(f"{n}: &{n} [{', '.join([f'*{p}'] * 9)}]\n" for p, n in pairwise("abcdefgh")),
        "a: " + "[" * 400 + "]" * 400,
    ],
)
def test_aliases_without_end_and_bottomless_nesting_are_refused(text: str) -> None:
    assert refusal(text).what.startswith("the file is nested too deeply")


@pytest.mark.parametrize(
    "text",
    [
        "up: a + bad",
        "up: 'a + bad'",
        "up: 'it''s a ''+'' bad'",
        'up: "a + bad"',
        'up: "tab\\there \\"+\\" \\x41 bad"',
        'up: "a +\\\n  bad"',
        "up: |\n  a +\n    bad\n",
        "up: |2-   # comment\n    a +\n  bad\n",
        "up: >-\n  a +\n\n\n  bad\n",
        "up: a +\n  bad",
        "up: &anchor a + bad",
        "up: &anchor !!str |\n  a + bad",
        "up: øre + bad",
    ],
)
def test_a_place_inside_of_text_is_found_in_every_style(text: str) -> None:
    document = parse_document(text, FILE)
    value = document.at(("up",))
    assert isinstance(value, str)

    where = document.inside(("up",), value.index("bad"))

    assert text.splitlines()[where.line - 1][where.column - 1 :].startswith("bad")


def test_the_end_of_text_is_the_place_after_its_last_character() -> None:
    document = parse_document("up: 'a +'\n", FILE)

    assert document.inside(("up",), len("a +")) == Position(FILE, 1, 9)


@given(
    words=st.lists(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40), min_size=1),
    style=st.sampled_from([None, "'", '"', "|", ">"]),
    data=st.data(),
)
def test_any_visible_character_of_any_dumped_text_is_found_again(
    words: list[str], style: str | None, data: st.DataObject
) -> None:
    written = " ".join(words)
    text = yaml.safe_dump({"up": written}, default_style=style)
    document = parse_document(text, FILE)
    value = document.data["up"] if isinstance(document.data, dict) else None
    assert isinstance(value, str)
    offset = data.draw(st.sampled_from([i for i, character in enumerate(value) if not character.isspace()]))

    where = document.inside(("up",), offset)

    found = text.splitlines()[where.line - 1][where.column - 1 :]
    assert found.startswith((value[offset], "\\" + value[offset]))
