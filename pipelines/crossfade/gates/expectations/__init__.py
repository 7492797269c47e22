"""Suites of validations/, read and checked here. run.py runs them; to import that takes seconds."""

from crossfade.gates.expectations.project import checked_suites, missing_suites
from crossfade.gates.expectations.schema import suite_schema
from crossfade.gates.expectations.suite import Expected, Suite, load_suite, suite_path

__all__ = [
    "Expected",
    "Suite",
    "checked_suites",
    "load_suite",
    "missing_suites",
    "suite_path",
    "suite_schema",
]
