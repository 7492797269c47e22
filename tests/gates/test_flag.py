"""A feature flag is on, as flagd's file provider says."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.gates.asking import context_at
from tests.scene import Scene

from crossfade.changes import Refused
from crossfade.gates import Answer, GateError, GateUnanswered
from crossfade.gates.flag import FlagGate
from crossfade.spec import Settings

ON_OFF = {"variants": {"on": True, "off": False}}
FLAGS = {
    "live": {"state": "ENABLED", **ON_OFF, "defaultVariant": "on"},
    "dark": {"state": "ENABLED", **ON_OFF, "defaultVariant": "off"},
    "disabled": {"state": "DISABLED", **ON_OFF, "defaultVariant": "on"},
    "words": {"state": "ENABLED", "variants": {"a": "b"}, "defaultVariant": "a"},
    "ruled": {
        "state": "ENABLED",
        **ON_OFF,
        "defaultVariant": "off",
        "targeting": {"if": [{"==": [{"var": "environment"}, "production"]}, "on", None]},
    },
}


def ask(root: Path, flags: dict[str, Any], flag: str, **more: Any) -> Answer:
    settings = Settings.model_validate({"flags": flags})
    gate = FlagGate.model_validate({"flag": flag, **more})
    return gate.ask(replace(context_at(settings=settings), root=root))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "flags.json").write_text(json.dumps({"flags": FLAGS}))
    return tmp_path


@pytest.mark.parametrize(
    ("flag", "state", "reason"),
    [
        ("live", "holds", "it is true"),
        ("dark", "waits", "it is false"),
        ("disabled", "waits", "it is disabled"),
        ("missing", "waits", "there is no such flag yet"),
        ("words", "never", "it is not a boolean"),
        ("ruled", "waits", "it is false"),
    ],
)
def test_a_flag_of_flagds_file_answers(root: Path, flag: str, state: str, reason: str) -> None:
    answer = ask(root, {"file": "flags.json"}, flag)

    assert (answer.state, answer.reason) == (state, reason)


def test_a_flags_rules_see_the_context_that_the_spec_gives(root: Path) -> None:
    answer = ask(root, {"file": "flags.json"}, "ruled", context={"environment": "production"})

    assert (answer.state, answer.evidence["reason"]) == ("holds", "TARGETING_MATCH")


def test_a_flag_that_is_switched_is_seen_when_it_is_asked_next(root: Path) -> None:
    before = ask(root, {"file": "flags.json"}, "dark")
    (root / "flags.json").write_text(json.dumps({"flags": {"dark": FLAGS["live"]}}))

    assert (before.state, ask(root, {"file": "flags.json"}, "dark").state) == ("waits", "holds")


def test_a_provider_is_a_class_with_options_that_may_stand_in_the_environment(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLAGS", str(root / "flags.json"))
    monkeypatch.setenv("FLAGD_RESOLVER", "file")
    provider = "openfeature.contrib.provider.flagd:FlagdProvider"

    answer = ask(root, {"provider": provider, "options": {"offline_flag_source_path": "env:FLAGS"}}, "live")

    assert answer.state == "holds"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"file": "nowhere.json"}, "there is no file nowhere.json"),
        ({"provider": "no_such_package:Provider"}, "cannot be made: ModuleNotFoundError"),
        ({"provider": "openfeature.provider.in_memory_provider:Nobody"}, "cannot be made: AttributeError"),
        ({"provider": "a:B", "options": {"key": "env:NOT_SET_ANYWHERE"}}, "NOT_SET_ANYWHERE is not set"),
    ],
)
def test_a_provider_that_is_not_there_is_told(root: Path, flags: dict[str, Any], said: str) -> None:
    with pytest.raises(GateError, match=said):
        ask(root, flags, "live")


def test_a_provider_that_does_not_answer_is_asked_again(root: Path) -> None:
    (root / "flags.json").write_text("no JSON")

    with pytest.raises(GateUnanswered, match="the provider of feature flags does not answer"):
        ask(root, {"file": "flags.json"}, "live")


def test_a_flag_gate_without_a_provider_is_refused_when_planning(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY)")
    scene.spec("changes: [{add_column: {table: items, column: extra, type: text}}]\ngates: {expand: [{flag: live}]}\n")

    with pytest.raises(Refused, match="the project has no provider of feature flags"):
        scene.up()

    (scene.root / "flags.json").write_text(json.dumps({"flags": FLAGS}))
    (scene.root / "crossfade.yaml").write_text("flags: {file: flags.json}\n")
    assert scene.up().ended == "complete"


@pytest.mark.parametrize("flags", [{}, {"file": "a", "provider": "a:B"}, {"file": "a", "options": {"x": 1}}])
def test_flags_are_asked_of_one_place(flags: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"flags": flags})


def test_nothing_of_openfeature_is_imported_before_a_flag_is_asked() -> None:
    read = "from crossfade.gates import GATES; GATES.model('flag').model_validate({'flag': 'x'})"

    done = subprocess.run(
        [sys.executable, "-c", f"{read}; import sys; print(*sys.modules)"], capture_output=True, text=True
    )

    assert "crossfade.gates.flag" in done.stdout
    assert "openfeature" not in done.stdout
