"""What `dagster dev -w workspace.yaml` loads: the project in CROSSFADE_PROJECT, or the one of the working directory."""

from __future__ import annotations

import os
from pathlib import Path

from crossfade.orchestrate.build import build_definitions

defs = build_definitions(Path(os.environ.get("CROSSFADE_PROJECT") or "."))
