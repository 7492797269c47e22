"""Dagster on top of the engine: assets, blocking checks and one sensor, made from the specs of a project.

Dagster schedules and shows; the ledger decides. The same engine runs under the command line, and each may take over
from the other at any time.
"""

from crossfade.orchestrate.alerts import Slowness
from crossfade.orchestrate.build import build_definitions
from crossfade.orchestrate.component import MigrationSpecs
from crossfade.orchestrate.refusals import Patience

__all__ = ["MigrationSpecs", "Patience", "Slowness", "build_definitions"]
