"""A vocabulary that is a package: a kind is a module, imported when it is used."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from crossfade.spec import PackageKinds

KIND = "from crossfade.spec import SpecModel\n\nclass {name}(SpecModel):\n    column: str\n"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    folder = tmp_path / "some_kinds"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "_base.py").write_text("")
    (folder / "add_column.py").write_text(KIND.format(name="AddColumn"))
    (folder / "soak.py").write_text(KIND.format(name="SoakGate"))
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield "some_kinds"
    for module in [name for name in sys.modules if name.split(".")[0] == "some_kinds"]:
        del sys.modules[module]


def test_the_kinds_of_a_package_are_its_public_modules(package: str) -> None:
    assert list(PackageKinds(package).names()) == ["add_column", "soak"]
    assert "some_kinds.soak" not in sys.modules


def test_the_class_of_a_kind_bears_its_name(package: str) -> None:
    assert PackageKinds(package).model("add_column").__name__ == "AddColumn"
    assert PackageKinds(package, suffix="Gate").model("soak").__name__ == "SoakGate"
    assert "some_kinds.soak" in sys.modules
