"""Every expectation that a suite may use can be asked: with what is true of the rows, and with what is not."""

from __future__ import annotations

import pytest
from tests.gates.asking import Desk

from crossfade.gates.expectations.arguments import known

ROWS = """
CREATE TABLE numbers (id int PRIMARY KEY, a int NOT NULL, b int NOT NULL, word text NOT NULL, same text NOT NULL,
  nothing text);
INSERT INTO numbers SELECT n, n, n + 1, 'w' || n % 10, 'w' || n % 10 FROM generate_series(0, 99) AS n;
CREATE TABLE as_many AS SELECT id FROM numbers;
CREATE TABLE fewer AS SELECT id FROM numbers WHERE id < 50;
"""
WORDS = "[w0, w1, w2, w3, w4, w5, w6, w7, w8, w9]"
# Of each, after its `expect_`: its keys when it holds, and when it fails.
ASKED = {
    "column_values_to_not_be_null": ("column: a", "column: nothing"),
    "column_values_to_be_null": ("column: nothing", "column: a"),
    "column_values_to_be_unique": ("column: a", "column: word"),
    "column_values_to_be_between": ("column: a, min_value: 0, max_value: 99", "column: a, max_value: 98"),
    "column_values_to_be_in_set": (f"column: word, value_set: {WORDS}", "column: word, value_set: [w0]"),
    "column_values_to_not_be_in_set": ("column: word, value_set: [x]", "column: word, value_set: [w0]"),
    "column_values_to_be_of_type": ("column: a, type_: integer", "column: a, type_: text"),
    "column_values_to_be_in_type_list": ("column: a, type_list: [integer, text]", "column: a, type_list: [text]"),
    "column_values_to_match_regex": ("column: word, regex: '^w[0-9]$'", "column: word, regex: '^w[0-8]$'"),
    "column_values_to_not_match_regex": ("column: word, regex: x", "column: word, regex: '9'"),
    "column_values_to_match_regex_list": (
        "column: word, regex_list: ['^w', x], match_on: any",
        "column: word, regex_list: ['^w', x], match_on: all",
    ),
    "column_values_to_not_match_regex_list": ("column: word, regex_list: [x, y]", "column: word, regex_list: [x, w]"),
    "column_values_to_match_like_pattern": ("column: word, like_pattern: w%", "column: word, like_pattern: w1%"),
    "column_values_to_not_match_like_pattern": ("column: word, like_pattern: x%", "column: word, like_pattern: w1%"),
    "column_values_to_match_like_pattern_list": (
        "column: word, like_pattern_list: [w%, x%], match_on: any",
        "column: word, like_pattern_list: [w%, x%], match_on: all",
    ),
    "column_values_to_not_match_like_pattern_list": (
        "column: word, like_pattern_list: [x%, y%]",
        "column: word, like_pattern_list: [x%, w%]",
    ),
    "column_value_lengths_to_be_between": ("column: word, min_value: 2", "column: word, min_value: 3"),
    "column_value_lengths_to_equal": ("column: word, value: 2", "column: word, value: 3"),
    "column_value_z_scores_to_be_less_than": (
        "column: a, threshold: 3, double_sided: true",
        "column: a, threshold: 1, double_sided: true",
    ),
    "column_values_to_not_be_outliers": ("column: a, method: iqr", "column: a, method: std, multiplier: 0.5"),
    "column_to_exist": ("column: a", "column: x"),
    "column_type_to_be": ("column: a, type_: integer", "column: a, type_: text"),
    "column_min_to_be_between": ("column: a, min_value: 0", "column: a, min_value: 1"),
    "column_max_to_be_between": ("column: a, max_value: 99", "column: a, max_value: 98"),
    "column_mean_to_be_between": ("column: a, min_value: 49, max_value: 50", "column: a, max_value: 49"),
    "column_median_to_be_between": ("column: a, min_value: 49, max_value: 50", "column: a, max_value: 49"),
    "column_sum_to_be_between": ("column: a, min_value: 4950, max_value: 4950", "column: a, max_value: 4949"),
    "column_stdev_to_be_between": ("column: a, min_value: 28, max_value: 30", "column: a, max_value: 28"),
    "column_quantile_values_to_be_between": (
        "column: a, quantile_ranges: {quantiles: [0.1, 0.5], value_ranges: [[5, 15], [45, 55]]}",
        "column: a, quantile_ranges: {quantiles: [0.1, 0.5], value_ranges: [[5, 15], [60, 65]]}",
    ),
    "column_kl_divergence_to_be_less_than": (
        "column: word, threshold: 0.1, partition_object: {values: "
        + WORDS
        + ", weights: [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]}",
        "column: word, threshold: 0.1, partition_object: {values: [w0, w1], weights: [0.5, 0.5]}",
    ),
    "column_unique_value_count_to_be_between": ("column: word, max_value: 10", "column: word, max_value: 9"),
    "column_proportion_of_unique_values_to_be_between": (
        "column: word, max_value: 0.1",
        "column: word, min_value: 0.2",
    ),
    "column_proportion_of_non_null_values_to_be_between": ("column: a, min_value: 1", "column: nothing, min_value: 1"),
    "column_most_common_value_to_be_in_set": (
        f"column: word, value_set: {WORDS}, ties_okay: true",
        "column: word, value_set: [x]",
    ),
    "column_distinct_values_to_be_in_set": (f"column: word, value_set: {WORDS}", "column: word, value_set: [w0]"),
    "column_distinct_values_to_contain_set": ("column: word, value_set: [w0]", "column: word, value_set: [x]"),
    "column_distinct_values_to_equal_set": (f"column: word, value_set: {WORDS}", "column: word, value_set: [w0]"),
    "column_pair_values_to_be_equal": ("column_A: word, column_B: same", "column_A: a, column_B: b"),
    "column_pair_values_a_to_be_greater_than_b": ("column_A: b, column_B: a", "column_A: a, column_B: b"),
    "column_pair_values_to_be_in_set": (
        "column_A: word, column_B: same, value_pairs_set: [" + ", ".join(f"[w{n}, w{n}]" for n in range(10)) + "]",
        "column_A: word, column_B: same, value_pairs_set: [[w0, w0]]",
    ),
    "compound_columns_to_be_unique": ("column_list: [a, word]", "column_list: [word, same]"),
    "select_column_values_to_be_unique_within_record": ("column_list: [a, b]", "column_list: [word, same]"),
    "multicolumn_sum_to_equal": (
        "column_list: [id, a], sum_total: 0, mostly: 0.01",
        "column_list: [a, b], sum_total: 3",
    ),
    "multicolumn_values_to_be_equal": ("column_list: [word, same]", "column_list: [a, b]"),
    "table_row_count_to_be_between": ("min_value: 100", "min_value: 101"),
    "table_row_count_to_equal": ("value: 100", "value: 99"),
    "table_row_count_to_equal_other_table": ("other_table_name: as_many", "other_table_name: fewer"),
    "table_column_count_to_be_between": ("max_value: 6", "max_value: 5"),
    "table_column_count_to_equal": ("value: 6", "value: 5"),
    "table_columns_to_match_set": ("column_set: [a, b, id, word, same, nothing]", "column_set: [a]"),
    "table_columns_to_match_ordered_list": (
        "column_list: [id, a, b, word, same, nothing]",
        "column_list: [a, id, b, word, same, nothing]",
    ),
}


# These have tests of their own: of ours in test_own_expectations.py.
ELSEWHERE = {
    "expect_backfill_to_be_complete",
    "expect_columns_to_agree",
    "expect_distribution_to_be_unchanged",
    "expect_foreign_key_to_hold",
    "expect_no_duplicates_under",
    "expect_rows_to_match_another_database",
    "unexpected_rows_expectation",
}


def test_none_is_left_out() -> None:
    assert {f"expect_{name}" for name in ASKED} | ELSEWHERE == set(known())


@pytest.mark.parametrize("holds", [True, False])
def test_each_answers(desk: Desk, holds: bool) -> None:
    desk.sql(ROWS)
    lines = [f"  - expect_{name}: {{{true if holds else false}}}" for name, (true, false) in ASKED.items()]

    answer = desk.ask_suite("table: numbers\nexpectations:\n" + "\n".join(lines) + "\n")

    wrong = [each["expectation"] for each in answer.evidence["expectations"] if each["success"] is not holds]
    assert wrong == []
