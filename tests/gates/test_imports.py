"""Great Expectations takes seconds to import: only a suite that is run may pay for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PIPELINES = Path(__file__).parents[2] / "pipelines"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the interpreters of this module keep compiled modules, as users' do."""
    return tmp_path_factory.mktemp("cache")


def run(code: str, cache: Path) -> str:
    """What `code` prints in a new interpreter."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPATH": str(PIPELINES), "PYTHONPYCACHEPREFIX": str(cache)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_no_kind_of_gate_imports_great_expectations(cache: Path) -> None:
    write = "from crossfade.gates import GATES; [GATES.model(kind) for kind in GATES.names()]; import sys"

    loaded = run(f"{write}; print(*sys.modules)", cache).split()

    assert "crossfade.gates.suite" in loaded
    assert not {"great_expectations", "sqlalchemy", "pandas"} & set(loaded)


def test_checking_suites_does_not_import_great_expectations(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "validations").mkdir()
    suite = "suite: s\ntable: t\nexpectations: [{expect_column_to_exist: {column: c}}]\n"
    (tmp_path / "validations" / "s.yaml").write_text(suite)
    check = f"checked_suites(Path({str(tmp_path)!r}))"

    found, *loaded = run(
        "import sys; from pathlib import Path; from crossfade.gates.expectations import checked_suites;"
        f" print(len({check}), *sys.modules)",
        cache,
    ).split()

    assert found == "0"
    assert "great_expectations" not in loaded


def test_the_gates_themselves_import_in_a_moment(cache: Path) -> None:
    # Over what every command imports anyway; CPU time, since other tests run beside this one.
    measure = (
        "import psycopg, pydantic, yaml, time; from crossfade import spec, ledger; begun = time.process_time();"
        " from crossfade import gates; print(time.process_time() - begun)"
    )

    seconds = min(float(run(measure, cache)) for _ in range(3))

    assert seconds < 0.2
