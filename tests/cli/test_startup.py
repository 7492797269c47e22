"""Commands that need neither Dagster nor Great Expectations do not import them, nor anything else in vain."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from tests.cli.calls import Call
from tests.cli.specs import ADD, LOWER, users
from tests.scene import Scene

HEAVY = ("dagster", "great_expectations", "pandas", "sqlalchemy")
ENGINE = ("crossfade.execute", "crossfade.spec", "psycopg")
CALL = """
import json, sys
from crossfade.cli import app
try:
    app(sys.argv[1:])
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def _here() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}


def modules(*arguments: str) -> set[str]:
    """What a call of its own process has imported when it ends."""
    process = subprocess.run(
        [sys.executable, "-c", CALL, *arguments],
        env=_here(),
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(process.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    "command", [("check",), ("status",), ("why", "m"), ("plan", "m"), ("audit", "verify"), ("conflicts", "m")]
)
def test_a_command_that_needs_neither_imports_neither_dagster_nor_great_expectations(
    scene: Scene, call: Call, command: tuple[str, ...]
) -> None:
    users(scene)
    assert call("up", "--yes").exit_code == 0

    imported = modules("--project", str(scene.root), *command)

    assert not imported.intersection(HEAVY)


def test_help_and_version_import_nothing_of_the_engine() -> None:
    for command in ("--help", "version"):
        assert not modules(command).intersection(HEAVY + ENGINE)


def test_check_needs_no_driver_and_nothing_that_only_asks(scene: Scene) -> None:
    gates = (
        "approval: {count: 1}",
        "sql: select true",
        "after: n",
        "flag: live",
        "healthy: {replica_lag: 1s}",
        "deployed: {url: env:X, at_least: 2.0.0}",
    )
    users(scene, LOWER + f"gates: {{expand: [{', '.join(f'{{{gate}}}' for gate in gates)}]}}\n")
    scene.spec(ADD, id="n")

    assert not {"psycopg", "openfeature", "requests"} & modules("--project", str(scene.root), "check")


def test_no_kind_of_change_needs_the_driver_to_be_read() -> None:
    code = "import sys; from crossfade.changes import CHANGES; [CHANGES.model(k) for k in CHANGES.names()]"
    asked = f"{code}; sys.exit('psycopg' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", asked], env=_here(), check=False).returncode == 0


def test_what_dagster_projects_take_from_the_package_is_imported_when_asked_for() -> None:
    code = "import sys, crossfade; dir(crossfade); early = 'dagster' in sys.modules; crossfade.MigrationSpecs"
    asked = f"{code}; sys.exit(early or 'dagster' not in sys.modules)"

    assert subprocess.run([sys.executable, "-c", asked], env=_here(), check=False).returncode == 0
