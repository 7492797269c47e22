from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from tests.gates.asking import Desk

from crossfade.gates import GateError
from crossfade.gates.compare import CompareGate


def gate(**more: Any) -> CompareGate:
    return CompareGate.model_validate({"compare": ["profile.users", "profile.new"], **more})


@pytest.fixture
def filled(desk: Desk) -> Desk:
    desk.sql("CREATE TABLE users (id int PRIMARY KEY, email text)")
    desk.sql("CREATE TABLE new (id bigint PRIMARY KEY, mail text)")
    desk.sql("INSERT INTO users VALUES (1, 'Ann@example.com'), (2, 'bob@example.com')")
    desk.sql("INSERT INTO new SELECT id, lower(email) FROM users")
    return desk


MAPPED = {"map_a": {"email": "lower(email)"}, "map_b": {"email": "mail"}}


def test_it_holds_when_both_tables_have_the_same_rows(filled: Desk) -> None:
    answer = filled.ask(gate(**MAPPED))

    assert (answer.state, answer.reason) == ("holds", "2 rows, the same on both sides")


def test_it_waits_with_counts_and_without_a_value(filled: Desk) -> None:
    filled.sql("UPDATE new SET id = 4711 WHERE id = 2")

    answer = filled.ask(gate(**MAPPED))

    assert answer.state == "waits"
    assert answer.reason == "2 rows not the same: 1 missing in profile.users, 1 missing in profile.new"
    assert answer.evidence["found"] == {"differs": 0, "missing_in_a": 1, "missing_in_b": 1}
    assert "4711" not in str(answer)


def test_what_cannot_be_compared_is_no_answer(filled: Desk) -> None:
    with pytest.raises(GateError, match=r"profile\.users has no column mail"):
        filled.ask(gate(skip=["email"]))


def test_a_server_that_cannot_compute_it_is_no_answer(filled: Desk) -> None:
    with pytest.raises(GateError, match=r"compare profile.users profile.new: profile.new: invalid text representation"):
        filled.ask(gate(**MAPPED | {"map_b": {"email": "mail::int::text"}}))


@pytest.mark.parametrize(
    "wrong", [{"compare": ["users", "profile.new"]}, {"compare": ["profile.users"]}, {"where_a": "a b"}, {"blocks": 0}]
)
def test_a_wrong_gate_is_refused_when_it_is_read(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        gate(**wrong)
