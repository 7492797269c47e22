"""The tutorial is run as it stands: its commands, its files, and the output that it promises."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

import pytest
from tests.docs.markdown import DOCS, Fence, Page

from crossfade.cli.embedded import embedded_databases

PAGE = Page(DOCS / "tutorial.md")
_NOTE_FOLDER = """trap 'pwd > "$HERE"' EXIT"""
# What differs from run to run.
_VARIES = re.compile(r"\d+(\.\d+)? (ms|s|min|h)\b|in \d+ batches|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


class Reader:
    """Does what the page says, in a folder and an environment of its own."""

    def __init__(self, home: Path) -> None:
        self._here = home
        self._home = home
        self._output = ""
        mine = {key: value for key, value in os.environ.items() if "CROSSFADE" not in key and "DATABASE" not in key}
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self._environment = mine | {"PATH": path, "HOME": str(home), "GX_ANALYTICS_ENABLED": "false"}

    @property
    def project(self) -> Path:
        return self._here

    def follow(self, fence: Fence) -> None:
        match fence:
            case Fence("sh", options, text):
                self._run(text, wanted=int(options.get("exit", 0)), line=fence.line)
            case Fence("yaml", {"title": title}, text):
                (self._here / title).write_text(text, encoding="utf-8")
            case Fence("text", _, text):
                self._compare(text, line=fence.line)
            case _:
                pytest.fail(f"line {fence.line}: nobody knows what to do with this block")

    def _run(self, script: str, *, wanted: int, line: int) -> None:
        note = self._home / "here"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"{_NOTE_FOLDER}\n{script}"],
            cwd=self._here,
            env=self._environment | {"HERE": str(note)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == wanted, f"line {line}: exit code {done.returncode}\n{done.stdout}"
        self._here = Path(note.read_text().strip())
        self._output = done.stdout

    def _compare(self, text: str, *, line: int) -> None:
        """Each line that is shown stands in the output, in that order."""
        printed = _alike(self._output)
        for shown in filter(None, map(str.strip, text.splitlines())):
            _, found, printed = printed.partition(_alike(shown))
            assert found, f"after line {line}: not printed (here): {shown}\n{self._output}"


def _alike(text: str) -> str:
    return " ".join(_VARIES.sub("#", text).split())


@pytest.fixture
def reader() -> Generator[Reader]:
    # Not tmp_path: where root runs the tests, the account of the embedded server could not enter it.
    with TemporaryDirectory(prefix="crossfade-tutorial-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        yield Reader(home)
        for marker in home.glob("*/.crossfade/embedded.yaml"):
            rmtree(_data_directory(marker), ignore_errors=True)


def _data_directory(marker: Path) -> Path:
    (data,) = re.findall(r"^data: (.+)$", marker.read_text(), re.MULTILINE)
    return marker.parent / data


@pytest.mark.slow
def test_the_tutorial_does_what_it_says(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    first, *rest = PAGE.fences
    reader.follow(first)
    monkeypatch.delenv("APP_DATABASE_URL", raising=False)
    # Commands start the project's server and stop it; one that runs already saves a second or two each time.
    with embedded_databases(reader.project / ".crossfade" / "embedded.yaml"):
        for fence in rest:
            reader.follow(fence)
