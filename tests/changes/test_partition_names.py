"""What partitions are called, and from where to where they go."""

from __future__ import annotations

from typing import Any

import pytest

from crossfade.changes._partition_by import ByRange


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ({"from": "2024-01-01", "to": "2024-03-01", "every": "month"}, ["t_2024_01", "t_2024_02"]),
        ({"from": "2024-12-15", "to": "2025-02-15", "every": "month"}, ["t_2024_12_15", "t_2025_01_15"]),
        ({"from": "2023-10-01", "to": "2024-04-01", "every": "quarter"}, ["t_2023_q4", "t_2024_q1"]),
        ({"from": "2023-01-01", "to": "2025-01-01", "every": "year"}, ["t_2023", "t_2024"]),
        ({"from": "2024-02-26", "to": "2024-03-11", "every": "week"}, ["t_2024_02_26", "t_2024_03_04"]),
        ({"from": "2024-02-28", "to": "2024-03-01", "every": "day"}, ["t_2024_02_28", "t_2024_02_29"]),
        ({"from": -10, "to": 10, "every": 10}, ["t_minus_10", "t_0"]),
        ({"bounds": ["A", "M", "Z z"]}, ["t_a", "t_m"]),
    ],
)
def test_a_partition_bears_the_tables_name_and_where_it_begins(said: dict[str, Any], names: list[str]) -> None:
    made = ByRange.model_validate({"column": "at", **said}).made("t")

    assert [partition.name for partition in made] == [*names, "t_default"]
