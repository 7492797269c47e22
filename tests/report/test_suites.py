"""The page of what suites found: whole, by itself, and in counts alone."""

from __future__ import annotations

from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

from crossfade.ledger import GateRecord
from crossfade.report import suites_page

NOW = datetime(2026, 3, 25, 12, tzinfo=UTC)
AGREE = {"expectation": "expect_columns_to_agree", "columns": ["email"], "severity": "critical", "success": True}


def answer(gate: str = "suite users", **evidence: Any) -> GateRecord:
    return GateRecord("after backfill", gate, "waits", "1 of 3 <fails>", None, evidence, NOW, NOW)


class Parts(HTMLParser):
    """The tags of a page, each opened and closed in its place, their attributes, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.said = ""
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said += f" {data}"


def test_the_page_tells_of_each_expectation_in_counts() -> None:
    failing = AGREE | {"success": False, "element_count": 2000, "unexpected_count": 12}
    warned = AGREE | {"success": False, "severity": "warning", "observed_value": "text"}

    said = " ".join(Parts(suites_page("m", [answer(rows=2000, expectations=[AGREE, failing, warned])])).said.split())

    assert "suite users after backfill: does not hold 1 of 3 <fails> asked" in said
    assert "2,000 rows" in said
    assert "expect_columns_to_agree email holds" in said
    assert "expect_columns_to_agree email fails 2,000 12 0.600%" in said
    assert "expect_columns_to_agree email fails: warning (text)" in said


def test_it_says_where_only_a_sample_was_looked_at() -> None:
    page = suites_page("m", [answer(rows=99_840, sample_of_rows=10_000_000, expectations=[AGREE])])

    assert "99,840 rows, a sample of about 10,000,000" in page


def test_it_needs_nothing_else_to_be_shown_and_runs_nothing() -> None:
    parts = Parts(suites_page("m", [answer(rows=1, expectations=[AGREE])]))

    assert not parts.tags & {"script", "link", "img", "iframe", "object", "form", "a"}
    assert not parts.attributes & {"src", "href", "style", "onclick"}


def test_what_a_spec_says_is_text_and_nothing_else() -> None:
    page = suites_page("<m>", [answer("suite <b>", expectations=[AGREE | {"columns": ['<i>"&']}])])

    assert "<b>" not in page
    assert "<i>" not in page
    assert Parts(page).tags <= {
        *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "span"),
        *("table", "tr", "th", "td"),
    }


def test_gates_that_are_no_suites_are_left_out_and_none_at_all_is_said() -> None:
    assert "No suite of this migration has been asked yet." in suites_page("m", [answer("soak 7d")])


def test_a_suite_that_was_overridden_says_so_without_a_table() -> None:
    page = suites_page("m", [answer(overridden_by=["ada"])])

    assert "<table>" not in page
