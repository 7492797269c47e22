"""What squawk, a linter for PostgreSQL's migrations, says of statements of the author's own.

A file `.squawk.toml` in the folder of the spec or above it says which of its rules a team wants.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict, cast

from crossfade.changes._change import Hazard

# What a statement locks and for how long the plan tells by `sql-locks`, with the kind of change that lets clients go
# on; timeouts are the engine's; that a statement can be run twice is what its ledger makes needless.
_TOLD_ELSEWHERE = {
    "adding-field-with-default",
    "adding-foreign-key-constraint",
    "adding-not-nullable-field",
    "changing-column-type",
    "constraint-missing-not-valid",
    "disallowed-unique-constraint",
    "prefer-robust-stmts",
    "require-concurrent-index-creation",
    "require-concurrent-index-deletion",
    "require-concurrent-reindex",
    "require-lock-timeout",
    "require-statement-timeout",
}
_SECONDS = 30  # a few milliseconds as a rule


class _Finding(TypedDict):
    rule_name: str
    line: int
    message: str
    help: str | None


def linted(script: str, folder: Path, *, in_transaction: bool) -> Iterator[Hazard]:
    """A hazard for each kind of thing that squawk finds, or one that it could not be asked. folder: of the spec."""
    try:
        found = _asked(script, folder, in_transaction)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        yield Hazard("sql-not-linted", "note", f"squawk could not look at `up`: {error}", "see your `.squawk.toml`")
        return
    for rule in dict.fromkeys(each["rule_name"] for each in found):
        same = [each for each in found if each["rule_name"] == rule]
        lines = ", ".join(str(each["line"] + 1) for each in same)
        said = f"squawk, {rule}, line {lines} of `up`: {same[0]['message'].rstrip('.')}"
        yield Hazard("sql-lint", "note", said, same[0]["help"])


def _asked(script: str, folder: Path, in_transaction: bool) -> tuple[_Finding, ...]:
    surrounding = "--assume-in-transaction" if in_transaction else "--no-assume-in-transaction"
    asked = subprocess.run(
        [_squawk(), "--reporter", "json", surrounding],
        input=script,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,  # it ends with 1 when it finds anything
        timeout=_SECONDS,
    )
    if not asked.stdout:
        raise ValueError(" ".join(asked.stderr.split()) or f"it ended with {asked.returncode}")
    found = cast(list[_Finding], json.loads(asked.stdout))
    return tuple(each for each in found if each["rule_name"] not in _TOLD_ELSEWHERE)


def _squawk() -> str:
    """The one installed with us, be its folder in the PATH or not."""
    return shutil.which("squawk", path=sysconfig.get_path("scripts")) or "squawk"
