"""docs/language.md says what the models say: every key, every default, every section an error links to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from pydantic import BaseModel
from tests.docs.markdown import DOCS, ROOT, Fence, Page

from crossfade.changes import CHANGES
from crossfade.errors import CrossfadeError
from crossfade.gates import GATES
from crossfade.gates.expectations import load_suite
from crossfade.gates.expectations.arguments import known
from crossfade.gates.expectations.suite import SuiteFile
from crossfade.spec import load_databases, load_migration
from crossfade.spec.applications import Application
from crossfade.spec.approvals import Issuer, OverrideRule
from crossfade.spec.calendar import Freeze
from crossfade.spec.custody import Personal
from crossfade.spec.databases import DatabaseEntry
from crossfade.spec.flags import Flags
from crossfade.spec.manual import Key, default_of, keys_of
from crossfade.spec.model import STAGES, Backfill, Contract, GateSet, Head, Locks, PauseWhen, StageOptions
from crossfade.spec.settings import Settings, load_settings
from crossfade.spec.window import Window

PAGE = Page(DOCS / "language.md")
HEAD = {"crossfade": 1, "migration": "example", "title": "An example", "database": "app"}
CHANGE = {"add_column": {"table": "users", "column": "seen", "type": "timestamptz"}}

MAPPINGS: dict[str, type[BaseModel]] = {
    "migration": Head,
    "backfill": Backfill,
    "pause_when": PauseWhen,
    "locks": Locks,
    "gates": GateSet,
    "contract": Contract,
    "stages": StageOptions,
    "window": Window,
    "applications": Application,
    "override": OverrideRule,
    "databases": DatabaseEntry,
    "personal": Personal,
    "project": Settings,
    "freezes": Freeze,
    "issuers": Issuer,
    "flags": Flags,
    "suites": SuiteFile,
}
KINDS: dict[str, type[BaseModel]] = {kind: GATES.model(kind) for kind in GATES.names() if kind != "window"}
SECTIONS = MAPPINGS | KINDS
# Not keys of their own.
LEFT_OUT = {"gates": {"plain"}}
SPELLED = {"migration": {"backfill": "its own", "locks": "its own", "contract": "its own"}} | {
    "backfill": {"pause_when": "its own"},
    "project": {"contract": "its own"},
    "contract": {"stages": "`retire`, `archive`, `drop`"},
}
_ROW = re.compile(r"^\| `([^`]+)` \| (.*?) \|", re.MULTILINE)


@pytest.mark.parametrize("section", SECTIONS)
def test_the_table_of_a_section_has_every_key_with_its_default(section: str) -> None:
    documented = dict(_ROW.findall(_key_table(section)))
    assert documented == dict(_keys(section, SECTIONS[section]))


@pytest.mark.parametrize("fence", [fence for fence in PAGE.fences if fence.language == "yaml"], ids=lambda f: f.line)
def test_an_example_is_right(fence: Fence, tmp_path: Path) -> None:
    _load(fence, yaml.safe_load(fence.text), tmp_path)


def test_every_kind_of_gate_has_an_example() -> None:
    shown = " ".join(fence.text for fence in PAGE.fences)
    assert all(f"- {kind}: " in shown for kind in GATES.names())


def test_every_expectation_is_named() -> None:
    named = set(re.findall(r"\w+", PAGE.sections["expectations"] + " ".join(fence.text for fence in PAGE.fences)))
    assert set(known()) <= named


def test_every_stage_is_named() -> None:
    assert re.findall(r"^\| `(\w+)` \|", PAGE.sections["stages"], re.MULTILINE)[: len(STAGES)] == list(STAGES)


def test_every_section_that_the_code_names_exists() -> None:
    named: set[str] = set()
    for path in (ROOT / "pipelines").rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        named |= set(re.findall(r"docs/language\.md#([\w-]+)", source))
    assert named
    assert named <= set(PAGE.sections)


def test_every_section_that_an_error_can_link_to_exists(tmp_path: Path) -> None:
    linked: set[str] = set()
    for fence in PAGE.fences:
        if fence.language == "yaml":
            for wrong in _slips(yaml.safe_load(fence.text)):
                linked |= _links(fence, wrong, tmp_path)
    assert {"migration", "backfill", "gates", "stages", "window", "databases", "suites"} <= linked
    assert linked <= set(PAGE.sections)


# --- what the models say -----------------------------------------------------------------------------


def _key_table(section: str) -> str:
    """The rows of the section's table of keys; a section may have another table before it."""
    _, _, table = PAGE.sections[section].partition("| key | default | meaning |")
    return table.partition("\n\n")[0]


def _keys(section: str, model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    spelled = SPELLED.get(section, {})
    for name, field in model.model_fields.items():
        key = field.alias or name
        if key in LEFT_OUT.get(section, ()):
            continue
        # The other mappings that a key holds have sections of their own.
        keys = keys_of(model) if section in KINDS else [Key(key, default_of(field), "")]
        yield from ((k.path, spelled.get(k.path) or k.default) for k in keys if re.split(r"[.[]", k.path)[0] == key)


# --- examples ----------------------------------------------------------------------------------------


def _load(fence: Fence, data: Any, folder: Path) -> None:
    """Read an example by the real models; one without a title is a part of a migration spec."""
    title = fence.options.get("title", "migration_specs/example.yaml")
    path = folder / Path(title).name
    if "title" not in fence.options:
        data = {**HEAD, "changes": [CHANGE], **data}
    path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    if title == "databases.yaml":
        load_databases(path)
    elif title == "crossfade.yaml":
        load_settings(path, ["app"])
    elif title.startswith("validations/"):
        load_suite(path)
    else:
        load_migration(path, changes=CHANGES, gates=GATES)


def _slips(data: Any) -> Iterator[Any]:
    """The example with a key that nobody knows in one of its mappings, or a number in one of its lists."""
    if isinstance(data, dict):
        mapping = cast(dict[str, Any], data)
        yield {**mapping, "zzz": 1}
        for key, value in mapping.items():
            for slip in _slips(value):
                yield {**mapping, key: slip}
    elif isinstance(data, list):
        entries = cast(list[Any], data)
        yield [*entries, 5]
        for index, value in enumerate(entries):
            for slip in _slips(value):
                yield [*entries[:index], slip, *entries[index + 1 :]]


def _links(fence: Fence, wrong: Any, folder: Path) -> set[str]:
    try:
        _load(fence, wrong, folder)
    except CrossfadeError as error:
        return set(re.findall(r"docs/language\.md#([\w-]+)", str(error)))
    return set()  # where any name may stand: a name of a constraint, of a database
