"""What is migrated: one column, `value`, by each kind of change that keeps two versions in step; and its values."""

from __future__ import annotations

import random
from dataclasses import dataclass

from hypothesis import strategies as st

HUGE = "".join(chr(random.Random(7).randrange(0x4E00, 0x9FFF)) for _ in range(9000))  # stored outside the row (TOAST)

_text = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=12)
_numbers = st.integers(-(2**31), 2**31 - 1).map(str)

VALUES: dict[str, st.SearchStrategy[str]] = {
    "text": st.sampled_from(["05", "5", "", " 5 ", "abc", "Ärger", "İ", "ﬃ", "NaN", "2147483648", HUGE]) | _text,
    "integer": st.sampled_from(["0", "-1", "2147483647"]) | _numbers,
    "bigint": st.sampled_from(["9223372036854775807", "2147483648", "5"]) | _numbers,
    "double precision": st.sampled_from(["NaN", "Infinity", "-Infinity", "-0", "0", "0.1", "1e308", "5e-324"]),
    "numeric": st.sampled_from(["NaN", "Infinity", "1.00", "1.0", "1e400", "12345678901234567890.5"]) | _numbers,
    "json": st.sampled_from(['{"a": 1, "a": 2}', "[1,  2]", r'"\u0000"', "null", "1.00", '"05"']),
    "jsonb": st.sampled_from(['{"a": 2}', "[1, 2]", "null", "1.00", '"05"']),
    "timestamp": st.sampled_from(["infinity", "-infinity", "2026-03-29 02:30", "0044-03-15 12:00 BC", "2026-01-01"]),
    "timestamptz": st.sampled_from(["infinity", "-infinity", "2026-03-29 02:30+02", "2026-01-01 00:00:00.000001Z"]),
    "text[]": st.sampled_from(["{}", "{NULL}", '{"NULL"}', "{05,5}", "[2:3]={a,b}", "{{a},{b}}"]),
    "bytea": st.sampled_from([r"\x", r"\x00ff", r"\x5c"]),
    "varchar(5)": st.text("a5é ", max_size=5),
}  # fmt: skip


@dataclass(frozen=True)
class Subject:
    """A change of `things.value`.

    new: the column the new version uses; None: none. up and down: as in the spec; None where nothing is mapped.
    good: a value of the old type that `up` can map. Both may read `note`, which both versions write.
    """

    name: str
    type: str
    change: str
    new: str | None
    new_type: str | None = None
    up: str | None = None
    down: str | None = None
    good: str = "5"

    @property
    def swaps(self) -> bool:
        return self.new == "value"

    @property
    def reads_note(self) -> bool:
        return "note" in (self.up or "")

    @property
    def leaves(self) -> bool:
        """The old column is gone in the end."""
        return self.new != "derived"


def _swap(type_: str, new: str, up: str | None = None, down: str | None = None, good: str = "5") -> Subject:
    said = "".join(f', {side}: "{text}"' for side, text in (("up", up), ("down", down)) if text)
    change = f"change_column: {{table: things, column: value, to: {{type: '{new}'}}{said}}}"
    name = f"change {type_} to {new}"
    return Subject(name, type_, change, "value", new, up or f"value::{new}", down or f"value::{type_}", good)


def _rename(type_: str, good: str) -> Subject:
    change = "rename_column: {table: things, from: value, to: renamed}"
    return Subject(f"rename {type_}", type_, change, "renamed", type_, "value", "renamed", good)


SUBJECTS = (
    _swap("text", "text", "lower(value)", "value"),
    _swap("text", "text", "coalesce(note, '') || value", "substr(value, length(coalesce(note, '')) + 1)"),
    _swap("text", "integer"),
    _swap("integer", "bigint"),
    _swap("bigint", "integer"),
    _swap("double precision", "numeric"),
    _swap("numeric", "double precision"),
    _swap("json", "jsonb"),
    # By the catalog alone, without a second column, unless it is said how.
    _swap("timestamp", "timestamptz", "value::timestamptz", "value::timestamp", good="2026-01-01"),
    _swap("varchar(5)", "integer", "nullif(btrim(value), '')::integer"),
    _rename("text", "5"),
    _rename("json", "5"),
    _rename("double precision", "5"),
    _rename("text[]", "{a}"),
    _rename("bytea", r"\x05"),
    Subject(
        "add",
        "text",
        "add_column: {table: things, column: derived, type: text, up: upper(value), down: {value: lower(derived)}}",
        "derived",
        "text",
        "upper(value)",
        "lower(derived)",
    ),
    Subject(
        "add fallibly",
        "text",
        "add_column: {table: things, column: derived, type: integer, up: value::integer, down: {value: derived::text}}",
        "derived",
        "integer",
        "value::integer",
        "derived::text",
    ),
    Subject("drop", "text", "drop_column: {table: things, column: value, down: \"'gone'\"}", None, down="'gone'"),
    Subject("drop without down", "text", "drop_column: {table: things, column: value}", None),
)
