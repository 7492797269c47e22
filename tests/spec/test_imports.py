"""What reading a spec must not cost."""

from __future__ import annotations

import subprocess
import sys

HEAVY = {"postgast", "psycopg", "dagster", "great_expectations", "sqlalchemy"}


def test_the_language_is_imported_without_what_it_may_not_need() -> None:
    program = f"import sys, crossfade.spec; print(*sorted({HEAVY} & set(sys.modules)))"

    imported = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert imported.stdout.split() == []
